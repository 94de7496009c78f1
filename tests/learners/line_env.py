"""The line problem of `helpers` as an environment, deterministic for a seed, and weak offline runs on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.data.replay import Transitions
from robot_rl.learners.finetune import evaluate_policy
from robot_rl.learners.offline_run import OfflineRun, load_offline
from robot_rl.learners.train import TrainConfig, train
from tests.learners.helpers import GOAL, describe, move

STEPS = 10  # of an episode


class LineEnv:
    """A point on [-1, 1]; the reward is minus the distance to GOAL, success is to stay within 0.1."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, np.ndarray], dict]:
        """Start somewhere, decided by the seed alone."""
        self.resets, self._steps = self.resets + 1, 0
        self._x = np.random.default_rng(seed).uniform(-1, 1, 1).astype(np.float32)
        self._near = False
        return {"state": self._x}, {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        """Move; the episode is cut after STEPS steps."""
        self._x, self._steps = move(self._x, action).astype(np.float32), self._steps + 1
        distance = abs(float(self._x[0]) - GOAL)
        stays, self._near = self._near and distance < 0.1, distance < 0.1
        info = {"success": stays}
        return {"state": self._x}, -distance, False, self._steps >= STEPS, info


def judge(policy) -> dict[str, float]:
    """Evaluate on the same 20 starts each time."""
    success, returns = evaluate_policy(LineEnv(), policy, range(20))
    return {"success": float(success.mean()), "return": float(returns.mean())}


def weak_data(count: int = 600, seed: int = 0) -> Transitions:
    """Small moves, mostly away from the goal: the best that can be learned from them is too slow."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (count, 1)).astype(np.float32)
    action = rng.normal(-0.2, 0.25, (count, 1)).clip(-1, 1).astype(np.float32)
    after = move(x, action).astype(np.float32)
    ones = np.ones(count, np.float32)
    return Transitions(x, action, -abs(after - GOAL)[:, 0], ones, after, ones > 0, np.arange(count))


def offline_run(folder: Path, transitions: Transitions | None = None, **changes: object) -> OfflineRun:
    """Train a small run and load it again."""
    settings = {"steps": 200, "batch_size": 32, "hidden": (16, 16), "discount": 0.9, "learning_rate": 2e-3}
    config = TrainConfig(**(settings | changes))
    transitions = weak_data() if transitions is None else transitions
    return load_offline(train(transitions, folder, config, description=describe(1, 1)))
