"""A task with a deformable thing: one class for all, which leaves what differs to the thing in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from robot_rl.envs.cloth.dressing import Dressing
from robot_rl.envs.cloth.fold import Fold
from robot_rl.envs.cloth.rig import Rig
from robot_rl.envs.cloth.rope import Rope
from robot_rl.envs.task_env import Act, TaskEnv
from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import TaskCard

# How `explore` moves: steps to a segment, between pictures, and to an episode from a new start.
_SEGMENT, _STEPS_PER_FRAME, _EPISODE = (6, 40), 2, (16, 90)


class Thing(Protocol):
    """What is handled, with its own geometry, measure of success and behaviours."""

    rig: Rig
    behaviours: tuple[str, ...]
    exploring: dict[str, float]  # behaviour -> weight in `explore`

    def begin(self, rng: np.random.Generator, wide: bool) -> None:
        """Put the scene into the first state of an episode; `wide` draws from more places."""

    def advance(self, action: np.ndarray) -> dict[str, Any]:
        """Simulate one control period; return what `info` tells besides success."""

    def outcome(self) -> tuple[float, bool]:
        """Return the true reward and whether the success test holds now."""

    def state(self) -> np.ndarray:
        """Return the state (S,) in the order and units of the card."""

    def quantities(self) -> dict[str, float]:
        """Measure what the card's scales may speak of."""

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """Draw one of `behaviours` for a segment."""


THINGS: dict[str, type[Thing]] = {"dressing": Dressing, "fold": Fold, "rope": Rope}


class ClothTask(TaskEnv):
    """State and action as the card says; ±1 of a displacement moves the gripper's set-point by 2 cm.

    The true reward and the success test are the thing's, see its class.
    """

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        super().__init__(card, render_mode, size)
        name = card.environment.partition(":")[2]
        if name not in THINGS:
            raise BadInput(f"environment: cloth has no '{name}'.{nearest(name, THINGS)}")
        self._thing = THINGS[name](Rig(name, card.control_rate))
        self.behaviours = self._thing.behaviours

    @property
    def model(self) -> Any:
        """The scene, an MjModel."""
        return self._thing.rig.model

    @property
    def data(self) -> Any:
        """The scene's state, an MjData."""
        return self._thing.rig.data

    def begin(self, options: Mapping[str, Any]) -> None:
        """Draw a scene; `random_start` draws the gripper's place from more of its reach."""
        self._thing.begin(self.np_random, bool(options.get("random_start")))

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Move the gripper for one control period."""
        more = self._thing.advance(action.astype(np.float64))
        return *self._thing.outcome(), more

    def state(self) -> np.ndarray:
        """The state (S,) in the order and units of the card."""
        return self._thing.state()

    def quantities(self) -> dict[str, float]:
        """Measure what a card's scales may speak of, see the thing's class."""
        return self._thing.quantities()

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """Draw one of `behaviours` for a segment of an episode."""
        self.known_behaviour(name)
        return self._thing.behave(name, rng)

    def explore(self, rng: np.random.Generator) -> Iterator[None]:
        """Play short segments of behaviours, each broken off at random, from ever new scenes.

        A cloth cannot be set into a random state as a joint can: what is shown was simulated.
        """
        names = sorted(self._thing.exploring)
        weights = np.array([self._thing.exploring[name] for name in names])
        step = 0
        while True:
            self.reset(seed=int(rng.integers(2**31)), options={"random_start": rng.random() < 0.7})
            left = int(rng.integers(*_EPISODE))
            while left > 0:
                act = self.behave(names[rng.choice(len(names), p=weights / weights.sum())], rng)
                for _ in range(min(left, int(rng.integers(*_SEGMENT)))):
                    self.step(act())
                    left, step = left - 1, step + 1
                    if step % _STEPS_PER_FRAME == 0:
                        yield


def make(card: TaskCard, render_mode: str | None = None, size: int | None = None) -> ClothTask:
    """Make a card's environment; raises BadInput for a thing that is not known."""
    return ClothTask(card, render_mode, size)
