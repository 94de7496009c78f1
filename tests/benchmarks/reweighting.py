"""Keep what was known: success on all tasks of pre-training, before and after fine-tuning on one of them.

One policy of three Meta-World tasks is trained offline (IQL on states, one number a task says which is
meant) and goes on online in one task alone: without the prior data, with half of each batch from all of it
alike, and with half of it drawn by `learners.reweighting`, which hears of every evaluation. Few seeds: it
informs.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

import gymnasium
import numpy as np

from robot_rl.data.replay import Transitions, transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.envs.collect import Plan, collect
from robot_rl.envs.make import make_task
from robot_rl.learners.describe import describe_policy
from robot_rl.learners.finetune import evaluate_policy, finetune
from robot_rl.learners.offline_run import load_offline
from robot_rl.learners.online import OnlineConfig, OnlineLearner
from robot_rl.learners.reweighting import TaskWeights
from robot_rl.learners.train import TrainConfig, train
from robot_rl.policies.policy import Policy
from robot_rl.report.statistics import wilson
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import BENCH, Row, report

TASKS, ONLINE = ("drawer_open", "drawer_close", "door_open"), "door_open"
QUALITY, DATA_SEED, FIRST_EPISODE = "mixed", 721, 90_000
SIZE = 8  # parts of the longest state; a task that has fewer shows 0 there
ARMS = ("no prior data", "prior data alike", "prior data reweighted")


@dataclass(frozen=True)
class Work:
    """How long a run is, and where it lives."""

    folder: Path
    episodes: int  # of each task's data
    updates: int  # offline
    steps: int  # online
    eval_every: int
    tries: int  # episodes of each task in an evaluation


def told(states: np.ndarray, task: int) -> np.ndarray:
    """States (..., S) with 0 where the task has no such part, and one number a task."""
    found = np.zeros((*states.shape[:-1], SIZE + len(TASKS)), np.float32)
    found[..., : states.shape[-1]], found[..., SIZE + task] = states, 1.0
    return found


class Told(gymnasium.Wrapper):
    """A task whose states say which one it is."""

    def __init__(self, name: str) -> None:
        super().__init__(make_task(load_task(name)))
        self._task = TASKS.index(name)

    def reset(self, **options):
        observation, info = self.env.reset(**options)
        return told(observation["state"], self._task), info

    def step(self, action):
        observation, *rest = self.env.step(action)
        return told(observation["state"], self._task), *rest


def data(work: Work) -> tuple[list[Dataset], Transitions, np.ndarray]:
    """The tasks' datasets, all their transitions, and each one's task (N,)."""
    datasets = []
    for name in TASKS:
        path = work.folder / f"{name}-{QUALITY}-{DATA_SEED}-{work.episodes}"
        plan = Plan(
            load_task(name), load_dataset_card(name, QUALITY), path, work.episodes, DATA_SEED, images=False
        )
        datasets.append(collect(plan))
    parts = [transitions_from_dataset(one) for one in datasets]
    names = [field.name for field in dataclasses.fields(Transitions) if field.name != "dropped"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts])
              for name in names if "observations" not in name}  # fmt: skip
    for name in ("observations", "next_observations"):
        joined[name] = np.concatenate([told(getattr(part, name), k) for k, part in enumerate(parts)])
    return datasets, Transitions(**joined), np.repeat(np.arange(len(TASKS)), [len(part) for part in parts])


def learn_offline(work: Work, seed: int, datasets: list[Dataset], transitions: Transitions) -> Path:
    """One policy of all tasks; a run that is there is taken as it is."""
    described = describe_policy(datasets[-1], transitions.actions, "next.reward")  # that of the longest state
    names = (*described.state_names, *(f"task.{name}" for name in TASKS))
    units = (*described.state_units, *["1"] * len(TASKS))
    described = described.model_copy(update={"state_names": names, "state_units": units})
    config = TrainConfig("iql", steps=work.updates, seed=seed)
    return train(transitions, work.folder / f"offline-{seed}", config, description=described)


def judge(work: Work, envs: dict[str, Told], policy: Policy) -> dict[str, float]:
    """Success of every task by its own starts."""
    seeds = range(FIRST_EPISODE, FIRST_EPISODE + work.tries)
    return {name: float(evaluate_policy(env, policy, seeds)[0].mean()) for name, env in envs.items()}


def go_online(work: Work, arm: str, seed: int) -> tuple[dict[str, float], dict[str, float], str]:
    """Success by task before and after, and the last weights in words."""
    datasets, transitions, tasks = data(work)
    offline = load_offline(learn_offline(work, seed, datasets, transitions))
    mix = 0.0 if arm == ARMS[0] else 0.5
    config = OnlineConfig(steps=work.steps, mix=mix, eval_every=work.eval_every, seed=seed)
    out = work.folder / f"online-{arm.replace(' ', '-')}-{seed}"
    learner = OnlineLearner(out, offline, config, transitions if mix else None)
    weights, envs = TaskWeights(TASKS), {name: Told(name) for name in TASKS}

    def hear(found: Mapping[str, float]) -> None:
        weights.observe(found)
        if arm == ARMS[2]:
            learner.weigh_tasks(tasks, weights.weights())

    for row in learner.rows():  # of a run that goes on
        if "eval_success" in row:
            hear({name: row[f"eval_{name}"] for name in TASKS})

    def evaluate(policy: Policy) -> dict[str, float]:
        found = judge(work, envs, policy)
        hear(found)
        print(
            f"{arm}, seed {seed}, step {learner.step}: {found}, weights {weights.weights().round(2)}",
            flush=True,
        )
        return {"success": float(np.mean(list(found.values()))), "return": 0.0, **found}

    finetune(learner, Told(ONLINE), evaluate)
    looks = [row for row in learner.rows() if "eval_success" in row]
    before, after = ({name: row[f"eval_{name}"] for name in TASKS} for row in (looks[0], looks[-1]))
    shares = ", ".join(f"{name} {w:.2f}" for name, w in zip(TASKS, weights.weights(), strict=True))
    return before, after, shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=BENCH / "reweighting")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=60, help="of each task's data")
    parser.add_argument("--updates", type=int, default=6000, help="offline")
    parser.add_argument("--steps", type=int, default=8000, help="online")
    parser.add_argument("--eval-every", type=int, default=1000)
    parser.add_argument("--tries", type=int, default=10)
    given = parser.parse_args()
    work = Work(given.folder, given.episodes, given.updates, given.steps, given.eval_every, given.tries)
    rows = []
    for arm in ARMS:
        found = [go_online(work, arm, seed) for seed in range(given.seeds)]
        for name in TASKS:
            before, after = (float(np.mean([one[k][name] for one in found])) for k in (0, 1))
            count = given.tries * given.seeds
            interval = wilson(round(after * count), count)
            note = f"before {before:.2f}; {count} episodes: {interval.low:.2f} to {interval.high:.2f}"
            what = "learned online" if name == ONLINE else "kept"
            rows.append(Row.of(f"{arm}: {name} after", round(after, 3), "success", None, f"{what}; {note}"))
        if arm == ARMS[2]:
            rows[-1] = dataclasses.replace(rows[-1], note=f"{rows[-1].note}; last weights {found[-1][2]}")
    report("reweighting", rows)


if __name__ == "__main__":
    main()
