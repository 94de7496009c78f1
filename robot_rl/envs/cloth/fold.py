"""Folding a cloth: a gripper takes one corner of it and lays it on the corner opposite."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.envs.cloth.moves import STEP, towards, wandering
from robot_rl.envs.cloth.rig import Rig
from robot_rl.envs.task_env import Act

SIDE = 9  # points along each edge of the cloth
WIDTH = 0.28  # m, of an edge
NEAR, LOW = 0.045, 0.03  # m; success: corner to corner seen from above, and height of the corner
SPREAD = 0.8  # success: the other two corners are at least this share of the diagonal apart
_ABOVE, _SLOPE = 0.12, 0.8  # m that the corner is carried above the table; lower towards the end, per m left
_SETTLE = 2


class Fold:
    """The cloth lies flat, moved and turned by the seed; the gripper starts around the corner it can hold.

    Success: the corner is within 4.5 cm of the one opposite, seen from above, lower than 3 cm, and the other
    two corners are still apart, so that a crumpled cloth does not count.

    True reward at each step: 5 (1 - distance / diagonal), distance from corner to corner in space, and 2 more
    within 5 cm. Less the distance (m, at most 30 cm) from the gripper to the corner while it does not hold
    it, twice.
    """

    behaviours = ("expert", "carry", "goal", "wander", "undo", "retreat")
    exploring = {"carry": 0.7, "goal": 0.1, "wander": 0.05, "undo": 0.15}

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._corners = [SIDE - 1, SIDE * (SIDE - 1), 0, SIDE * SIDE - 1]  # held, opposite, the other two
        self._tags = [int(rig.model.body(name).mocapid[0]) for name in ("held_tag", "goal_tag")]

    def begin(self, rng: np.random.Generator, wide: bool) -> None:
        """Lay the cloth out and put the gripper near the corner (anywhere in reach with `wide`)."""
        angle, shift = rng.uniform(-0.3, 0.3), rng.uniform(-0.03, 0.03, 2)
        rest, middle = self.rig.rest, np.append(self.rig.rest[:, :2].mean(0), 0.0)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        points = (rest - middle) @ turn.T + middle + np.append(shift, 0.004)
        gripper = points[self._corners[0]] + np.array([*rng.uniform(-0.06, 0.06, 2), rng.uniform(0.03, 0.12)])
        if wide:
            gripper = rng.uniform(self.rig.low, self.rig.high)
        self.rig.start(gripper, points)
        for _ in range(_SETTLE):
            self._run()

    def _run(self) -> None:
        self.rig.data.mocap_pos[self._tags] = self.rig.points[self._corners[:2]]
        self.rig.run()

    def advance(self, action: np.ndarray) -> dict[str, Any]:
        """Move the gripper, and close or open it: it takes the corner within 3.5 cm."""
        self.rig.move(STEP * action[:3])
        self.rig.grip(bool(action[3] > 0), self._reach())
        self._run()
        return {"force": self.rig.pull()}

    def _corner(self) -> np.ndarray:
        """The corner that can be held, (3,) m."""
        return self.rig.points[self._corners[0]]

    def _reach(self) -> float:
        """Distance from the gripper to the corner that it can hold (m)."""
        return float(np.linalg.norm(self.rig.gripper - self._corner()))

    def _gap(self) -> float:
        """Distance of the two corners seen from above, as a share of the diagonal."""
        held, opposite = self.rig.points[self._corners[:2], :2]
        return float(np.linalg.norm(held - opposite)) / (WIDTH * 2**0.5)

    def _spread(self) -> float:
        """Distance of the other two corners, as a share of the diagonal."""
        one, other = self.rig.points[self._corners[2:]]
        return float(np.linalg.norm(one - other)) / (WIDTH * 2**0.5)

    def outcome(self) -> tuple[float, bool]:
        """See the class."""
        gap, height = self._gap(), float(self._corner()[2])
        distance = float(np.linalg.norm(self._corner() - self.rig.points[self._corners[1]]))
        reward = 5.0 * (1.0 - distance / (WIDTH * 2**0.5)) + (2.0 if distance < 0.05 else 0.0)
        reward -= 0.0 if self.rig.holds else 2.0 * min(self._reach(), 0.3)
        done = gap * WIDTH * 2**0.5 < NEAR and height < LOW and self._spread() > SPREAD
        return reward, done

    def state(self) -> np.ndarray:
        """Gripper, whether it holds, and the four corners as a camera sees their tags."""
        return np.array([*self.rig.gripper, float(self.rig.holds), *self.rig.points[self._corners].ravel()])

    def quantities(self) -> dict[str, float]:
        """Measure cloth and gripper (m, or shares of the diagonal): see each entry's comment."""
        return {
            "reach": self._reach(),  # from the gripper to the corner that it can hold
            "gap": self._gap(),  # share of the diagonal between the corner and the one opposite, from above
            "height": float(self._corner()[2]),  # of the corner above the table
        }

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """`carry` brings the corner some of the way over and may drop it, `undo` brings it back."""
        if name == "wander":
            return wandering(rng)
        if name == "expert":
            return self._fold
        if name in ("carry", "undo"):
            share, height = min(rng.uniform(0.1, 1.3), 1.0), max(rng.uniform(-0.05, 0.15), 0.012)
            drop = rng.random() < 0.3
            start = self._laid_out() if name == "undo" else self._corner().copy()
            start[2] = height
            return lambda: self._carry(start if name == "undo" else self._between(start, share, height), drop)
        goal, grip = rng.uniform(self.rig.low, self.rig.high), rng.choice([-1.0, 1.0])
        if name == "retreat":
            goal, grip = self._corner() + np.array([0.0, 0.0, 0.15]), -1.0
        return lambda: towards(goal, self.rig.gripper, grip)

    def _laid_out(self) -> np.ndarray:
        """Where the corner lay before it was folded: the square's fourth corner, from the other three."""
        _, opposite, one, other = self.rig.points[self._corners]
        return one + other - opposite

    def _between(self, start: np.ndarray, share: float, height: float) -> np.ndarray:
        goal = start + share * (self.rig.points[self._corners[1]] - start)
        return np.append(goal[:2], height)

    def _take(self) -> np.ndarray:
        """Go to the corner from above, open, and close there."""
        gripper, corner = self.rig.gripper, self._corner()
        return towards(corner, gripper, 1.0 if self._reach() < 0.025 else -1.0)

    def _carry(self, goal: np.ndarray, drop: bool) -> np.ndarray:
        """Take the corner to a point (3,) m, and open there or hold on."""
        if not self.rig.holds:
            return self._take()
        there = np.linalg.norm(self.rig.gripper - goal) < 0.03
        return towards(goal, self.rig.gripper, -1.0 if drop and there else 1.0)

    def _fold(self) -> np.ndarray:
        """Take the corner, lift it, and lay it down in an arc on the one opposite."""
        if self.outcome()[1]:
            return np.array([0.0, 0.0, 0.0, 1.0])
        if not self.rig.holds:
            return self._take()
        gripper, goal = self.rig.gripper, self.rig.points[self._corners[1]].copy()
        far = float(np.linalg.norm((goal - gripper)[:2]))
        goal[2] = np.clip(_SLOPE * (far - 0.02), 0.01, _ABOVE)
        if far > 0.1 and gripper[2] < _ABOVE / 2:  # lift before carrying
            goal[:2] = gripper[:2]
        return towards(goal, gripper, 1.0)
