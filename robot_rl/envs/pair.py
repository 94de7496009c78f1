"""Two tasks that undo each other in one persistent world, so that a robot can practise without resets.

The instruction changes, the world does not: `switch` carries its whole state from one task to the other. A
task that goes on by itself, such as walking, needs no other; `switch` begins it again where the robot is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.envs.make import make_task
from robot_rl.envs.task_env import TaskEnv, gymnasium
from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import TaskCard, load_task


class ResetFreePair(gymnasium.Env):
    """A Gymnasium environment whose task is one of two, or one; `instruction` is the text of the present one.

    Observations, actions, reward and success are those of the present task; `info["task"]` names it. An
    episode ends for the learner at the card's length, but the world goes on after `switch`. `resets` counts
    how often the world was set up anew, the first time included.
    """

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, forward: TaskCard, backward: TaskCard | None = None, size: int | None = None) -> None:
        cards = [forward] if backward is None else [forward, backward]
        self._envs = {card.name: make_task(card, size=size) for card in cards}
        first, *others = self._envs.values()
        for space in ("observation_space", "action_space"):
            if any(getattr(first, space) != getattr(other, space) for other in others):
                raise BadInput(
                    f"{forward.name} and {backward.name} differ in their {space.replace('_', ' ')}"
                )
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.task, self.resets, self._started = forward.name, 0, False

    @property
    def env(self) -> TaskEnv:
        """The environment of the present task."""
        return self._envs[self.task]

    @property
    def instruction(self) -> str:
        """The goal of the present task in words."""
        return self.env.card.goal

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, forward first."""
        return tuple(self._envs)

    def card(self, task: str) -> TaskCard:
        """The card of one of them."""
        return self._envs[task].card

    def env_of(self, task: str) -> TaskEnv:
        """The environment of one of them."""
        return self._envs[task]

    def begin_with(self, task: str, seed: int) -> dict[str, np.ndarray]:
        """Set the world up anew in a task's start, and count it; returns the observation."""
        self.task = task
        return self.reset(seed=seed)[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Set the world up anew in the present task's start, and count it."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.resets, self._started = self.resets + 1, True
        return observation, {**info, "task": self.task}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Act for one control period under the present instruction."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "task": self.task}

    def switch(self, task: str | None = None) -> dict[str, np.ndarray]:
        """Change the instruction, to the other task by default, or begin it again; nothing moves.

        Returns the observation under the new instruction; raises BadInput for a task that is not of the pair,
        or before the first reset.
        """
        if not self._started:
            raise BadInput("a reset-free pair needs one reset() before its first switch()")
        task = task or next((name for name in self._envs if name != self.task), self.task)
        if task not in self._envs:
            raise BadInput(f"no task '{task}' in this pair.{nearest(task, self._envs)}")
        if task == self.task:
            self.env.try_again()
        else:
            self._envs[task].continue_from(self.env)
            self.task = task
        return {"state": np.asarray(self.env.state(), np.float32)}

    def leave(self) -> dict[str, np.ndarray]:
        """The whole world, as arrays to keep on disk; `take_up` goes on from it."""
        return self.env.leave()

    def take_up(self, left: Mapping[str, np.ndarray], task: str) -> dict[str, np.ndarray]:
        """Go on in a world that `leave` kept, under a task's instruction; it is no reset.

        Returns the observation; raises BadInput for a task that is not of the pair.
        """
        if task not in self._envs:
            raise BadInput(f"no task '{task}' in this pair.{nearest(task, self._envs)}")
        self.task, self._started = task, True
        self.env.take_up(left)
        return {"state": np.asarray(self.env.state(), np.float32)}

    def home(self, limit: int = 200) -> int:
        """Send the robot to where the present task can begin, and return the control periods that took.

        At most `limit`; the steps do not count as the episode's.
        """
        act = self.env.way_home()
        for step in range(limit):
            if (action := act()) is None:
                return step
            self.env.step(action)
            self.env.steps = 0
        return limit

    def render(self) -> np.ndarray:
        """The picture of the present task's camera, (size, size, 3) uint8."""
        return self.env.render()

    def close(self) -> None:
        """Free both renderers."""
        for env in self._envs.values():
            env.close()


def make_pair(task: str, size: int | None = None) -> ResetFreePair:
    """The pair of a task and its card's `reverse_task`, or one that goes on; raises BadInput for others."""
    card = load_task(task)
    if card.goes_on:
        return ResetFreePair(card, size=size)
    if card.reverse_task is None:
        raise BadInput(f"{card.name}: has no reverse_task, so nothing undoes it without a reset")
    return ResetFreePair(card, load_task(card.reverse_task), size)
