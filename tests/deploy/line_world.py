"""A point on a line that is to go right, then left, and so on: a world to practise in, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.data.replay import Transitions
from robot_rl.deploy.practice import Outcome
from robot_rl.deploy.supervisor_rules import Rules
from robot_rl.learners.offline_run import OfflineRun, load_offline
from robot_rl.learners.train import TrainConfig, train
from tests.learners.helpers import describe, move

TASKS = ("right", "left")
GOALS = {"right": 0.6, "left": -0.6}
NAMES = ("x", "task.right", "task.left")


def line_rules(**changes: object) -> Rules:
    """Tries of at most 20 steps; success is to stay within 0.15 of the goal."""
    values = {"time_out": dict.fromkeys(TASKS, 20), "control_rate": 10.0, "hold": 2, "perturb_steps": 3}
    return Rules(TASKS, **{**values, **changes})


class LineWorld:
    """The world; `person` is a command that a person gives in place of the policy's, or None."""

    state_names = ("x",)

    def __init__(self) -> None:
        self.x, self.task, self.person, self.steps = np.zeros(1, np.float32), "right", None, 0

    def observe(self) -> np.ndarray:
        """Where it is."""
        return self.x

    def step(self, action: np.ndarray) -> Outcome:
        """Move by up to 0.2."""
        executed = np.float32([self.person]) if self.person is not None else np.asarray(action, np.float32)
        self.x, self.steps = move(self.x, executed).astype(np.float32), self.steps + 1
        distance = abs(float(self.x[0]) - GOALS[self.task])
        return Outcome(self.x, -distance, float(distance < 0.15), executed, self.person is not None)

    def switch(self, task: str) -> None:
        """Another goal."""
        self.task = task

    def home_action(self) -> np.ndarray | None:
        """To the middle."""
        return None if abs(self.x[0]) < 0.05 else np.clip(-self.x / 0.2, -1, 1).astype(np.float32)


def line_data(count: int = 600, seed: int = 0) -> Transitions:
    """Both tasks from everywhere, with moves of all kinds."""
    rng = np.random.default_rng(seed)
    x, action = (rng.uniform(-1, 1, (count, 1)).astype(np.float32) for _ in range(2))
    after = move(x, action).astype(np.float32)
    right = (np.arange(count) % 2 == 0).astype(np.float32)[:, None]
    told = np.concatenate([right, 1 - right], 1)
    goal = np.where(right > 0, GOALS["right"], GOALS["left"])
    ones = np.ones(count, np.float32)
    before, following = (np.concatenate([where, told], 1) for where in (x, after))
    return Transitions(before, action, -abs(after - goal)[:, 0], ones, following, ones > 0, np.arange(count))


def line_run(folder: Path, **changes: object) -> OfflineRun:
    """A run of a few updates on both tasks."""
    settings = {"steps": 100, "batch_size": 32, "hidden": (16, 16), "discount": 0.9, "learning_rate": 2e-3}
    names = {"state_names": NAMES, "state_units": ("m", "1", "1"), "task": "right"}
    description = describe(3, 1, **names)
    out = train(line_data(), folder, TrainConfig(**{**settings, **changes}), description=description)
    return load_offline(out)
