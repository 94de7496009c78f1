"""Pulls a peg out of its block: Meta-World's scene of peg-insert-side from its end to its start.

Meta-World's own unplugging task has another scene, with a plug; this one shares a world with the insertion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.envs.metaworld.task import MetaWorldTask
from robot_rl.specs.tasks import TaskCard

NAME, SCENE = "peg-remove", "peg-insert-side-v3"
_OUT, _LOW = 0.12, 0.03  # m: the head's way from the hole's middle, and the peg's height above its rest
_IN = (-0.02, 0.02)  # m, where along the hole the head is at the start
_AHEAD_OF_HEAD = np.array([0.1, 0.0, 0.0])  # m, from the head to the peg's middle


class PegRemove(MetaWorldTask):
    """The true reward is 10 at success, and before it 5 for each share of the way out and down."""

    @staticmethod
    def scene(card: TaskCard) -> str:
        """The insertion's scene."""
        return SCENE

    def begin(self, options: Mapping[str, Any]) -> None:
        """Reset Meta-World, and put the peg into the hole."""
        super().begin(options)
        world, data = self._world, self._world.data
        head = world._target_pos + (self.np_random.uniform(*_IN), 0.0, 0.0)
        start = world.model.jnt_qposadr[world.model.body("peg").jntadr[0]]
        data.qpos[start : start + 7] = (*(head + _AHEAD_OF_HEAD), 1.0, 0.0, 0.0, 0.0)
        data.qvel[:] = 0.0
        world.set_state(data.qpos.copy(), data.qvel.copy())
        self.advance(np.zeros(4, np.float32))

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Move the hand's set-point for one control period."""
        super().advance(action)
        found = self.quantities()
        out = float(np.clip(found["ahead"] / _OUT, 0.0, 1.0))
        down = 1.0 - float(np.clip(found["lifted"] / 0.15, 0.0, 1.0))
        success = found["ahead"] >= _OUT and found["lifted"] < _LOW
        return (10.0 if success else 5.0 * out * (1.0 + down) / 2.0), success, {}
