"""Trains and evaluates policies that differ in one thing only, their reward; several at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.envs.workers import worker_pool
from robot_rl.specs.tasks import TaskCard, load_task

SHUFFLE_SEED = 5


@dataclass(frozen=True)
class Arm:
    """One policy of a comparison."""

    name: str
    out: Path
    dataset: Path
    task: str
    rewards: np.ndarray  # (N,) float32 over the dataset's frames; BC does not read them
    algorithm: str = "iql"
    steps: int = 15_000
    seed: int = 0
    episodes: int = 20
    first_seed: int = 10_000  # of the evaluation episodes
    settings: Mapping[str, Any] = field(default_factory=dict)  # more of TrainConfig's fields


def controls(true: np.ndarray | None, labeled: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """The comparison's arms, name -> (algorithm, rewards): learned, true if known, and what must not work."""
    shuffled = np.random.default_rng(SHUFFLE_SEED).permutation(labeled)
    arms = {"labeled": ("iql", labeled)}
    if true is not None:
        arms["true_reward"] = ("iql", true)
    constant = np.full_like(labeled, labeled.mean())
    return arms | {
        "constant_reward": ("iql", constant),
        "shuffled": ("iql", shuffled),
        "negated": ("iql", -labeled),
        "bc": ("bc", constant),
    }


def run_arms(
    arms: Sequence[Arm], workers: int, progress: Callable[..., object] | None = None
) -> dict[str, dict]:
    """Train and evaluate every arm; what a killed run finished is read back. Returns name -> its record."""
    found = {}
    with worker_pool(min(workers, len(arms))) as pool:
        for name, record in pool.imap_unordered(run_arm, arms):
            found[name] = record
            if progress:
                progress(1, f"{name} {record['success']:.2f}")
    return {arm.name: found[arm.name] for arm in arms}


def run_arm(arm: Arm) -> tuple[str, dict]:
    """Train one policy and evaluate it, unless its evaluation is on disk already."""
    path = arm.out / "evaluation.json"
    if path.exists():
        return arm.name, json.loads(path.read_text())
    from robot_rl.data.replay import transitions_from_dataset
    from robot_rl.envs.rollout import evaluate
    from robot_rl.learners.describe import describe_policy
    from robot_rl.learners.train import TrainConfig, train

    task, dataset = load_task(arm.task), Dataset.open(arm.dataset)
    transitions = transitions_from_dataset(dataset, None)
    transitions = _with_rewards(transitions, arm.rewards)
    start = time.monotonic()
    config = TrainConfig(algorithm=arm.algorithm, steps=arm.steps, seed=arm.seed, **arm.settings)
    description = describe_policy(dataset, transitions.actions, arm.name)
    train(transitions, arm.out, config, description=description, keep_state=False)
    trained = time.monotonic()
    result = evaluate(task, arm.out, range(arm.first_seed, arm.first_seed + arm.episodes))
    record = {
        "success": result.rate,
        "episodes": [bool(s) for s in result.success],
        "first_seed": arm.first_seed,
        "mean_return": float(result.returns.mean()),
        "train_seconds": trained - start,
        "evaluate_seconds": time.monotonic() - trained,
    }
    write_json(path, record)
    return arm.name, record


def _with_rewards(transitions, rewards: np.ndarray):
    import dataclasses

    return dataclasses.replace(transitions, rewards=np.asarray(rewards, np.float32)[transitions.frame])


def write_json(path: Path, content: object) -> None:
    """Write JSON at once, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(content, indent=2))
    temporary.rename(path)


def plan_arms(
    rewards: dict[str, tuple[str, np.ndarray]], out: Path, dataset: Path, task: TaskCard, **settings
) -> list[Arm]:
    """Make one arm for each reward source."""
    return [
        Arm(name, out / name, dataset, task.name, np.asarray(values, np.float32), algorithm, **settings)
        for name, (algorithm, values) in rewards.items()
    ]
