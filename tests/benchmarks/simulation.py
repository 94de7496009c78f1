"""Environment steps a second: per core beside MuJoCo's bare steps, on all cores beside gymnasium's vector.

Bare is mj_step alone, as often as a control period needs it, from the very states and with the very commands
that the environment has just passed through; both take turns in one process on one core. What the environment
adds is observations, reward, success test and clipping. Nothing is rendered, actions are random.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import Row, report
from tests.benchmarks._simulated import chosen, family, measured, one_core

SECONDS, ROUNDS = 1.0, 5  # a round of the single core, and how many
OVERHEAD = {"go2": 0.25}  # largest share of the time that is not mj_step, by family


def fresh(task: str):
    """An environment at its start, warm: what compiles at first use has done so."""
    from robot_rl.envs.make import make_task

    env, rng = make_task(load_task(task)), np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(20):
        env.step(rng.uniform(-1, 1, len(env.card.actions)))
    return env, rng


def single(task: str) -> dict[str, float]:
    """Steps a second of the environment and of mj_step for the same periods, medians of the rounds."""
    from robot_rl.envs.rendering import mujoco

    one_core()
    env, rng = fresh(task)
    substeps = round(1 / (env.card.control_rate * env.model.opt.timestep))
    bare, whole = mujoco.MjData(env.model), mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(env.model, whole))
    rates, bares = [], []
    for _ in range(ROUNDS):
        spent = spent_bare = steps = 0
        while spent < SECONDS:
            if env.steps >= env.card.episode_length:
                env.reset(seed=int(rng.integers(1000)))
            mujoco.mj_getState(env.model, env.data, state, whole)
            action = rng.uniform(-1, 1, len(env.card.actions))
            start = time.perf_counter()
            env.step(action)
            spent += time.perf_counter() - start
            mujoco.mj_setState(env.model, bare, state, whole)
            bare.ctrl[:], bare.mocap_pos[:] = env.data.ctrl, env.data.mocap_pos
            start = time.perf_counter()
            for _ in range(substeps):
                mujoco.mj_step(env.model, bare)
            spent_bare += time.perf_counter() - start
            steps += 1
        rates.append(steps / spent)
        bares.append(steps / spent_bare)
    overheads = [1 - rate / plain for rate, plain in zip(rates, bares, strict=True)]
    return {
        "rate": statistics.median(rates),
        "bare": statistics.median(bares),
        "overhead": statistics.median(overheads),
    }


def _steps_in(work: tuple[str, float]) -> float:
    """Steps a second of one process among several, after all have been made."""
    task, seconds = work
    env, rng = fresh(task)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        if env.steps >= env.card.episode_length:
            env.reset(seed=steps)
        env.step(rng.uniform(-1, 1, len(env.card.actions)))
        steps += 1
    return steps / (time.perf_counter() - start)


def everywhere(task: str, cores: int, seconds: float) -> float:
    """Steps a second of as many processes as there are cores, together."""
    with get_context("spawn").Pool(cores) as pool:
        return sum(pool.map(_steps_in, [(task, seconds)] * cores, chunksize=1))


class _Make:
    """Makes the environment in gymnasium's worker processes."""

    def __init__(self, task: str) -> None:
        self.task = task

    def __call__(self):
        from robot_rl.envs.make import make_task

        return make_task(load_task(self.task))


def gymnasium_vector(task: str, cores: int, seconds: float) -> float:
    """Steps a second of gymnasium's AsyncVectorEnv with one environment a core."""
    from gymnasium.vector import AsyncVectorEnv

    envs = AsyncVectorEnv([_Make(task)] * cores, context="spawn")
    envs.reset(seed=0)
    for _ in range(20):
        envs.step(envs.action_space.sample())
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        envs.step(envs.action_space.sample())
        steps += cores
    rate = steps / (time.perf_counter() - start)
    envs.close()
    return rate


def mujoco_rollout(task: str, cores: int) -> float:
    """Control periods a second of mujoco.rollout: physics alone, in threads, from states of the task."""
    from mujoco import rollout

    from robot_rl.envs.rendering import mujoco

    env, _ = fresh(task)
    substeps, periods = round(1 / (env.card.control_rate * env.model.opt.timestep)), 50
    full = mujoco.mjtState.mjSTATE_FULLPHYSICS
    state = np.empty(mujoco.mj_stateSize(env.model, full))
    mujoco.mj_getState(env.model, env.data, state, full)
    starts, datas = np.repeat(state[None], 4 * cores, 0), [mujoco.MjData(env.model) for _ in range(cores)]
    control = np.repeat(np.repeat(env.data.ctrl[None, None], 4 * cores, 0), periods * substeps, 1)
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        rollout.rollout(env.model, datas, starts, control)
        rates.append(4 * cores * periods / (time.perf_counter() - start))
    return statistics.median(rates)


def rows(task: str, cores: int, seconds: float) -> list[Row]:
    """All figures of one task."""
    load = f"load {os.getloadavg()[0]:.1f}"
    alone = measured(__file__, task)
    note = f"mj_step alone {alone['bare']:.0f} periods/s; {load}"
    bound = OVERHEAD.get(family(task))
    found = [
        Row.of(f"{task}_core", round(alone["rate"]), "steps/s", None, note),
        Row.of(
            f"{task}_overhead", round(alone["overhead"], 3), "", ("<=", bound) if bound else None,
            "share of a step's time that is not mj_step",
        ),
    ]  # fmt: skip
    ours, theirs = everywhere(task, cores, seconds), gymnasium_vector(task, cores, seconds)
    found.append(Row.of(f"{task}_all", round(ours), "steps/s", None, f"{cores} processes; {load}"))
    note = f"AsyncVectorEnv of {cores}; ours is {ours / theirs:.2f} times as fast"
    found.append(Row.of(f"{task}_vector", round(theirs), "steps/s", None, note))
    if family(task) == "go2":
        note = f"mujoco.rollout in {cores} threads: physics alone, constant commands"
        found.append(Row.of(f"{task}_rollout", round(mujoco_rollout(task, cores)), "periods/s", None, note))
    return found


def main() -> None:
    """Run the benchmark on the first task of each family; `--each 3` takes three, names take those tasks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--measure", metavar="TASK")
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(single(args.measure)))
        return
    cores = len(os.sched_getaffinity(0))
    tasks = chosen(args.tasks, args.each)
    report("simulation", [row for task in tasks for row in rows(task, cores, args.seconds)])


if __name__ == "__main__":
    main()
