"""Pictures a second at 84x84 on one core: MuJoCo as it comes against ours, for every task card.

"As it comes" is mujoco.Renderer on the same scene from the same camera: with the scene's own shadows and
multi-sampling, with reflections, the library's threads, and nothing hidden. They take turns in processes of
their own on one core; between pictures the arm moves, which is not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from tests.benchmarks._rows import Row, report
from tests.benchmarks._simulated import chosen, family, measured, one_core

SIZE, ROUNDS = 84, 3
FRAMES = {"ours": 60, "default": 12}  # pictures a round
GOALS = {"metaworld": 60.0, "go2": 60.0, "cloth": 40.0}  # by family


def as_it_comes(env) -> Callable[[], np.ndarray]:
    """MuJoCo's own renderer with its defaults, from the card's camera."""
    from robot_rl.envs.rendering import mujoco

    renderer, camera, card = mujoco.Renderer(env.model, SIZE, SIZE), mujoco.MjvCamera(), env.card.camera
    camera.lookat[:] = card.look_at
    camera.azimuth, camera.elevation, camera.distance = card.azimuth, card.elevation, card.distance

    def render() -> np.ndarray:
        renderer.update_scene(env.data, camera)
        return renderer.render()

    return render


def frame_rate(task: str, how: str) -> float:
    """Pictures a second, the median of the rounds."""
    from robot_rl.envs.make import make_task
    from robot_rl.specs.tasks import load_task

    one_core()
    env, rng, rates = make_task(load_task(task), size=SIZE), np.random.default_rng(0), []
    env.reset(seed=0)
    render = env.render if how == "ours" else as_it_comes(env)
    render()
    for _ in range(ROUNDS):
        spent = 0.0
        for _ in range(FRAMES[how]):
            env.step(rng.uniform(-1, 1, len(env.card.actions)))
            start = time.perf_counter()
            render()
            spent += time.perf_counter() - start
        rates.append(FRAMES[how] / spent)
    return statistics.median(rates)


def row(task: str) -> Row:
    """One task, ours and as it comes in turn."""
    found: dict[str, list[float]] = {"ours": [], "default": []}
    for _ in range(2):
        for how, threads in (("ours", "0"), ("default", None)):
            found[how].append(measured(__file__, task, how, LP_NUM_THREADS=threads)["rate"])
    ours, default = (statistics.median(found[how]) for how in ("ours", "default"))
    bound = GOALS.get(family(task))
    note = f"as it comes {default:.1f}, {ours / default:.1f} times as fast; load {os.getloadavg()[0]:.1f}"
    goal = (">=", bound) if bound else None
    return Row.of(f"rendering_{task}", round(ours, 1), "frames/s", goal, note)


def main() -> None:
    """Run the benchmark; `--each 1` takes one task of each family, names take those tasks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--each", type=int)
    parser.add_argument("--measure", nargs=2, metavar=("TASK", "HOW"))
    args = parser.parse_args()
    if args.measure:
        print(json.dumps({"rate": frame_rate(*args.measure)}))
        return
    report("rendering", [row(task) for task in chosen(args.tasks, args.each)])


if __name__ == "__main__":
    main()
