"""The rows of Go2 in the benchmark `tasks`: what BC and IQL learn from mixed data, walking and with an arm.

Everything but the algorithm and the reward is the same. Observations hold no velocity of the trunk, so
rewards of half a stride are summed (n-step) before a value is trusted. Run alone:
python tests/benchmarks/_tasks_go2.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import dataclasses
import json

import numpy as np

from robot_rl.cli.arms import write_json
from robot_rl.cli.common import progress
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.envs.collect import Plan, collect
from robot_rl.envs.make import make_task
from robot_rl.learners.describe import describe_policy
from robot_rl.learners.train import TrainConfig, train
from robot_rl.policies.policy import MlpPolicy
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import TaskCard, load_task
from tests.benchmarks._rows import Row, report

SEEDS, EPISODES, FIRST_EPISODE, DATA_SEED = (0, 1), 20, 50_000, 301
STEPS = 8000  # updates
SETTINGS = {"discount": 0.97, "expectile": 0.7, "temperature": 10.0, "target_rate": 0.01, "n_step": 10}
FORWARD = {"forward_from": 0.5, "forward_to": 0.5, "left_from": 0, "left_to": 0, "turn_from": 0, "turn_to": 0}


def collected(task: TaskCard, folder: Path, episodes: int | None = None) -> Dataset:
    """The task's mixed data, without pictures."""
    card = load_dataset_card(task.name, "mixed")
    count = episodes or card.episodes
    plan = Plan(task, card, folder / f"{task.name}-{count}", count, DATA_SEED, images=False)
    with progress(count, f"collect {task.name}", "episodes") as advance:
        return collect(plan, progress=advance)


def trained(dataset: Dataset, algorithm: str, constant: bool, seed: int, steps: int, out: Path) -> Path:
    """The folder of a policy; a finished one is kept."""
    transitions = transitions_from_dataset(dataset)
    if constant:
        transitions = dataclasses.replace(transitions, rewards=np.ones(len(transitions), np.float32))
    settings = SETTINGS if algorithm == "iql" else {}
    config = TrainConfig(algorithm, steps=steps, seed=seed, **settings)
    description = describe_policy(dataset, transitions.actions, "next.reward")
    return train(transitions, out, config, description=description, keep_state=False)


def episodes(task: TaskCard, policy: Path, count: int) -> dict[str, list]:
    """Play whole episodes: success, falls, and the last step's other figures of `info`."""
    saved = policy / f"{task.name}-{'-'.join(map(str, task.options.values()))}-{count}.json"
    if saved.exists():
        return json.loads(saved.read_text())
    found: dict[str, list] = {"success": [], "fell": []}
    env, act = make_task(task), MlpPolicy.load(policy).act
    for seed in range(FIRST_EPISODE, FIRST_EPISODE + count):
        observation, _ = env.reset(seed=seed)
        fell = truncated = False
        while not truncated:
            observation, _, _, truncated, info = env.step(act(observation))
            fell |= info["fallen"]
        for name, value in {**info, "fell": fell}.items():
            found.setdefault(name, []).append(float(value))
    env.close()
    write_json(saved, found)
    return found


def arms(quick: bool) -> Iterator[tuple[str, str, bool, tuple[int, ...]]]:
    """(name, algorithm, whether the reward is constant, seeds)."""
    seeds = SEEDS[:1] if quick else SEEDS
    yield "bc", "bc", False, seeds
    yield "iql", "iql", False, seeds
    yield "constant", "iql", True, seeds[:1]


def measured(
    task: TaskCard, folder: Path, quick: bool, other: TaskCard | None = None
) -> dict[str, list[dict]]:
    """Arm -> for each seed what its policy does in `other`, by default the task itself."""
    dataset = collected(task, folder, 10 if quick else None)
    return {
        name: [
            episodes(
                other or task,
                trained(dataset, algorithm, constant, seed, 200 if quick else STEPS,
                        folder / f"{task.name}-{name}-{seed}-{len(dataset)}"),
                3 if quick else EPISODES,
            )
            for seed in seeds
        ]
        for name, algorithm, constant, seeds in arms(quick)
    }  # fmt: skip


def rows(folder: Path | None = None, quick: bool = False) -> list[Row]:
    """All rows of Go2."""
    folder = folder or Path(tempfile.mkdtemp(prefix="tasks-go2-"))
    walk, reach = load_task("go2_walk"), load_task("go2_arm_reach")
    forward = walk.model_copy(update={"options": {**walk.options, **FORWARD}})
    commanded, straight = measured(walk, folder, quick), measured(walk, folder, quick, forward)
    bc, constant = mean(commanded["bc"], "success"), mean(commanded["constant"], "success")
    goals = {"iql": (">=", round(max(bc, constant) + 0.1, 3))}
    made = [
        row("go2_walk", name, found, "success", "share", goals.get(name)) for name, found in commanded.items()
    ]
    goals = {"iql": (">=", 1.0)}
    made += [
        row("go2_forward_0.5", name, found, "success", "share", goals.get(name))
        for name, found in straight.items()
    ]
    made += [
        row("go2_forward_0.5/error", name, found, "velocity_error", "m/s", None)
        for name, found in straight.items()
    ]
    held = measured(reach, folder, quick)
    return made + [
        row("go2_arm_reach/error", name, found, "mean_distance", "m", None) for name, found in held.items()
    ]


def mean(found: list[dict], field: str) -> float:
    """Over all episodes of all seeds."""
    return float(np.mean([value for one in found for value in one[field]]))


def row(task: str, arm: str, found: list[dict], field: str, unit: str, goal: tuple[str, float] | None) -> Row:
    """One figure with each seed's own and the falls."""
    each = ", ".join(f"{np.mean(one[field]):.2f}" for one in found)
    seeds, count, fell = list(range(len(found))), len(found[0][field]), mean(found, "fell")
    note = f"seeds {seeds}: {each}; {count} episodes each, fell in {fell:.0%}"
    return Row.of(f"{task}/{arm}", round(mean(found, field), 3), unit, goal, note)


def main() -> None:
    """Run the rows alone; `--quick` is to see that they run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--folder", type=Path, default=None, help="kept and continued; default: a temporary one"
    )
    options = parser.parse_args()
    report("tasks_go2", rows(options.folder, options.quick))


if __name__ == "__main__":
    main()
