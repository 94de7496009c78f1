"""A simulated pair of tasks as the world in which a robot practises, kept on disk between processes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.cli.reset_free_success import QUALITY
from robot_rl.deploy.practice import Outcome
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import write_atomically

if TYPE_CHECKING:
    from robot_rl.cli.reset_free_success import PixelSuccess
    from robot_rl.envs.pair import ResetFreePair
    from robot_rl.envs.task_env import TaskEnv

WORLD = "world.npz"


class PairWorld:
    """Steps a `ResetFreePair`; success and reward are the simulator's unless others are given."""

    def __init__(
        self,
        pair: ResetFreePair,
        reward: str = "true",
        success: PixelSuccess | None = None,
        learned: Callable[[TaskEnv], float] | None = None,
    ) -> None:
        """Rewards are "true" (the simulator's), "success" (1 where it is reached, else 0), or `learned`.

        `success` judges the rendered picture after each step.
        """
        if reward not in ("true", "success", "learned"):
            raise BadInput(f"reward: must be true, success or learned, not '{reward}'")
        self.pair, self._reward, self._success, self._learned = pair, reward, success, learned
        self._home: Callable[[], np.ndarray | None] | None = None

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the simulator measures, in order."""
        return tuple(part.name for part in self.pair.env.card.state)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """From which probability on a picture shows success, for tasks that are judged by pictures."""
        return {} if self._success is None else self._success.thresholds

    @property
    def quality(self) -> Mapping[str, Mapping[str, int]]:
        """Task -> how often pictures were right and wrong about success, where they judge it."""
        return {} if self._success is None else self._success.quality

    def observe(self) -> np.ndarray:
        """The state (N,) under the present task."""
        return np.asarray(self.pair.env.state(), np.float32)

    def step(self, action: np.ndarray) -> Outcome:
        """Act for one control period; a learned reward belongs to the frame at which the action is chosen."""
        learned = self._learned(self.pair.env) if self._learned else 0.0
        observation, true, _, _, info = self.pair.step(action)
        success, truth, threshold = float(info["success"]), bool(info["success"]), 0.5
        if self._success is not None:
            success = self._success(self.pair.render(), self.pair.task, truth)
            threshold = self._success.thresholds[self.pair.task]
        rewards = {"true": float(true), "success": float(success >= threshold), "learned": learned}
        reward = rewards[self._reward]
        executed = np.asarray(info.get("executed_action", np.clip(action, -1, 1)), np.float32)
        return Outcome(observation["state"], reward, success, executed, fell=bool(info.get("fallen")))

    def switch(self, task: str) -> None:
        """Change the task, or begin it again; nothing moves."""
        self.pair.switch(task)
        self._home = None
        if self._success is not None:
            self._success.begin(task)

    def home_action(self) -> np.ndarray | None:
        """The scripted way home, where the family of tasks has one; None once there."""
        self._home = self._home or self.pair.env.way_home()
        action = self._home()
        if action is None:
            self._home = None
            return None
        return np.asarray(action, np.float32)

    def keep(self, path: Path) -> None:
        """Write the whole world in one step."""
        content = io.BytesIO()
        np.savez(content, **self.pair.leave())
        write_atomically(path, content.getvalue())
        if self._success is not None:
            told = json.dumps(self._success.quality, indent=1).encode()
            write_atomically(quality_of(path), told)

    def go_on(self, path: Path, task: str) -> None:
        """Take up a kept world under a task; raises BadInput for a file that is none."""
        self.pair.take_up(read_world(path), task)
        self._home = None
        if self._success is not None and quality_of(path).exists():
            self._success.quality = json.loads(quality_of(path).read_text())


def quality_of(path: Path) -> Path:
    """Where a kept world's file says how well pictures told success."""
    return path.with_suffix(QUALITY)


def read_world(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of a kept world."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} is no kept world ({error}); remove it, and the world is set up anew"
        ) from error
