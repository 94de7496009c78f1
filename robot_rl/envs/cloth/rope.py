"""Straightening a rope: one end is clamped, a gripper takes the other and pulls it out."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.envs.cloth.moves import STEP, towards, wandering
from robot_rl.envs.cloth.rig import Rig
from robot_rl.envs.task_env import Act

LINKS, LINK = 16, 0.03  # the rope is this many links of this length (m)
LENGTH = LINKS * LINK
SUCCESS = 0.96  # share of its length that the rope's ends are apart
_SETTLE = 2


class Rope:
    """The rope lies in a random curve on the table; the gripper starts around the end that it can hold.

    Success: the ends are 96 % of the rope's length apart, which leaves it nowhere more than about 7 cm off a
    straight line, and the free end is lower than 8 cm.

    True reward at each step: 5 times the distance of the ends as a share of the length, less the distance
    (m, at most 30 cm) from the gripper to the free end while it does not hold it, twice.
    """

    behaviours = ("expert", "drag", "goal", "wander", "undo", "retreat")
    exploring = {"drag": 0.75, "goal": 0.1, "wander": 0.05, "undo": 0.1}

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        model = rig.model
        self._turns = [int(model.joint(f"turn_{i}").qposadr[0]) for i in range(LINKS)]
        self._links = [model.body(f"link_{i}").id for i in range(LINKS)]
        self._tip = model.site("tip").id

    def begin(self, rng: np.random.Generator, wide: bool) -> None:
        """Draw the curve and put the gripper near the free end (anywhere in reach with `wide`)."""
        heading, bend, waves, phase = rng.uniform([-0.5, 1.0, 0.6, 0], [0.5, 2.2, 1.3, 2 * np.pi])
        angles = heading + bend * np.sin(phase + 2 * np.pi * waves * np.arange(LINKS) / LINKS)
        end = LINK * np.array([np.cos(angles).sum(), np.sin(angles).sum(), 0.0])
        gripper = end + np.array([*rng.uniform(-0.07, 0.07, 2), rng.uniform(0.03, 0.12)])
        if wide:
            gripper = rng.uniform(self.rig.low, self.rig.high)
        self.rig.start(gripper)
        self.rig.data.qpos[self._turns] = np.diff(angles, prepend=0.0)
        for _ in range(_SETTLE):
            self.rig.run()

    def advance(self, action: np.ndarray) -> dict[str, Any]:
        """Move the gripper, and close or open it: it takes the free end within 3.5 cm."""
        self.rig.move(STEP * action[:3])
        self.rig.grip(bool(action[3] > 0), self._reach())
        self.rig.run()
        return {"force": self.rig.pull()}

    @property
    def _end(self) -> np.ndarray:
        return self.rig.data.site_xpos[self._tip]

    @property
    def _clamp(self) -> np.ndarray:
        return self.rig.data.xpos[self._links[0]]

    def _reach(self) -> float:
        """Distance from the gripper to the free end (m)."""
        return float(np.linalg.norm(self.rig.gripper - self._end))

    def _stretch(self) -> float:
        """Distance of the rope's ends as a share of its length."""
        return float(np.linalg.norm(self._end - self._clamp)) / LENGTH

    def outcome(self) -> tuple[float, bool]:
        """See the class."""
        stretch = self._stretch()
        reward = 5.0 * stretch - (0.0 if self.rig.holds else 2.0 * min(self._reach(), 0.3))
        return reward, stretch > SUCCESS and float(self._end[2]) < 0.08

    def state(self) -> np.ndarray:
        """Gripper, whether it holds, and three points of the rope as a camera sees them."""
        third, two_thirds = self.rig.data.xpos[[self._links[LINKS // 3], self._links[2 * LINKS // 3]]]
        points = (*third[:2], *two_thirds[:2], *self._end)
        return np.array([*self.rig.gripper, float(self.rig.holds), *points])

    def quantities(self) -> dict[str, float]:
        """Measure rope and gripper: see each entry's comment."""
        return {
            "reach": self._reach(),  # m, from the gripper to the free end
            "stretch": self._stretch(),  # share of the rope's length that its ends are apart
        }

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """`drag` takes the free end to a random place, `undo` back to the clamp."""
        if name == "wander":
            return wandering(rng)
        if name == "expert":
            return self._straighten
        if name in ("drag", "undo"):
            angle, share = rng.uniform(-1.0, 1.0), rng.uniform(0.3, 1.2) if name == "drag" else 0.25
            share = min(share, 1.02)
            goal = self._clamp + share * LENGTH * np.array([np.cos(angle), np.sin(angle), 0.0])
            goal[2] = rng.uniform(0.01, 0.06)
            return lambda: self._bring(goal)
        goal, grip = rng.uniform(self.rig.low, self.rig.high), rng.choice([-1.0, 1.0])
        if name == "retreat":
            goal, grip = self._end + np.array([0.0, 0.0, 0.15]), -1.0
        return lambda: towards(goal, self.rig.gripper, grip)

    def _bring(self, goal: np.ndarray) -> np.ndarray:
        """Take the free end, and then to a point (3,) m."""
        gripper = self.rig.gripper
        if self.rig.holds:
            return towards(goal, gripper, 1.0)
        return towards(self._end, gripper, 1.0 if self._reach() < 0.025 else -1.0)

    def _straighten(self) -> np.ndarray:
        """Take the free end and pull it away from the clamp, ahead rather than to the sides."""
        away = self._end - self._clamp
        angle = np.clip(np.arctan2(away[1], away[0]), -0.7, 0.7)
        goal = self._clamp + 1.05 * LENGTH * np.array([np.cos(angle), np.sin(angle), 0.0])
        goal[2] = 0.015
        return self._bring(goal)
