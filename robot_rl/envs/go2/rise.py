"""Getting up: from any lying pose to a stance, its reward, its success test, and a scripted way to do it."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.envs.go2.body import Body
from robot_rl.envs.go2.legs import SIDE, STANCE

STANDS_UP, STANDS_HEIGHT = 0.9, 0.2  # up and m
HOLD = 0.5  # s to stand
_TUCKED = np.array([0.0, 1.4, -2.65])  # rad
_FASTEST = 0.3  # rad a step, so that rolling over does not become a jump
# Rolling over: poses (hip outwards, thigh, calf; rad) of the legs above and of those below, found by search
# in simulation. On its back, the legs push against the ground past the trunk; on its side, the lower legs do.
_ROLL = 1.87  # s for two poses, half of it each
_BACK = (
    (np.array([-0.09, 3.3, -1.98]), np.array([0.35, 2.57, -0.94])),
    (np.array([-0.14, 0.45, -0.85]), np.array([-0.39, 0.97, -1.58])),
)
_ON_SIDE = (
    (np.array([-0.90, 3.3, -2.29]), np.array([-0.17, -1.29, -2.12])),
    (np.array([0.46, 3.3, -1.78]), np.array([-0.68, 0.54, -1.6])),
)
_TUCK, _STAND = 0.4, 0.6  # s to tuck the legs in and to stand up
_SETTLED = 0.3  # rad between a joint and where it shall be
_SIDE_UP, _BELLY_UP = 0.12, 0.6  # up from which it lies on its side, and on its belly


def lie_down(body: Body, rng: np.random.Generator) -> None:
    """Drop the robot in a random attitude with random joints, and let it come to rest (1.2 s)."""
    quaternion = rng.normal(size=4)
    joints = STANCE + rng.uniform(-1, 1, (4, 3)).ravel() * np.tile([0.5, 0.8, 0.8], 4)
    low, high = body.model.jnt_range[1:13].T
    joints = np.clip(joints, low, high)
    body.place(np.array([0.0, 0.0, 0.35, *(quaternion / np.linalg.norm(quaternion))]), joints)
    body.settle(1.2)


class Rise:
    """Starts lying; success is half a second upright at standing height."""

    asked_names = ()
    behaviours = ("getup", "stand", "stumble")

    def __init__(self, control_rate: float, episode_length: int) -> None:
        self.asked, self._hold = np.zeros(0), round(HOLD * control_rate)  # steps
        self._stood = 0

    def begin(self, body: Body, rng: np.random.Generator) -> None:
        """Lie in a random pose."""
        lie_down(body, rng)
        self._stood = 0

    def measure(self, body: Body) -> tuple[float, bool, dict[str, Any]]:
        """Reward = (1 + up)/2 + max(up, 0) min(height/0.25 m, 1) - 0.0002 |torque|², success and `info`."""
        up, height, force = body.up, body.height, body.force
        reward = (1 + up) / 2 + max(up, 0.0) * min(height / 0.25, 1.0) - 0.0002 * float(force.dot(force))
        self._stood = self._stood + 1 if up > STANDS_UP and height > STANDS_HEIGHT else 0
        return reward, self._stood >= self._hold, {"fallen": body.fallen}


class GetUp:
    """The scripted way: roll over by pushing with the legs, tuck them in on the belly, then stand up.

    With `clocked` its times are not its own: it rolls in step with the robot's clock and stands up as soon as
    its legs are tucked in, so that what it does next can be told from the state, and learned.
    """

    def __init__(self, body: Body, clocked: bool = False) -> None:
        self._body, self._clocked = body, clocked
        self._targets = body.centre[:12] + body.ranges[:12] * body.last[:12]  # rad, where the motors aim now
        self._rolling, self._risen = 0.0, 0.0  # s

    def __call__(self) -> np.ndarray:
        """(12,) joint targets (rad) of the next control step."""
        up = self._body.up
        if up > _BELLY_UP:
            self._risen += self._body.period
            share = self._share()
            wanted = np.tile((1 - share) * _TUCKED, 4) + share * STANCE
        else:
            self._risen = 0.0
            self._rolling = self._time() % _ROLL
            wanted = self._roll(_ON_SIDE if up > _SIDE_UP else _BACK)
        self._targets = np.clip(wanted, self._targets - _FASTEST, self._targets + _FASTEST)
        return self._targets

    def _share(self) -> float:
        """How far from tucked legs to the stance they shall be: by time, or by where they are and aim."""
        if not self._clocked:
            return float(np.clip((self._risen - _TUCK) / _STAND, 0.0, 1.0))
        way = STANCE - np.tile(_TUCKED, 4)
        share = float(np.clip((self._targets - np.tile(_TUCKED, 4)) @ way / (way @ way), 0.0, 1.0))
        aims = np.abs(self._targets - np.tile(_TUCKED, 4) - share * way).max() < _SETTLED
        there = np.abs(self._body.sensors[6:18] - self._targets).max() < _SETTLED
        if aims and (share > 0.01 or there):
            return min(share + self._body.period / _STAND, 1.0)
        return 0.0

    def _time(self) -> float:
        """Of rolling so far, or what the robot's clock says, one turn of it for both poses (s)."""
        return _ROLL * self._body.phase if self._clocked else self._rolling + self._body.period

    @property
    def done(self) -> bool:
        """Whether it stands."""
        return self._risen > 1.0

    def _roll(self, poses: tuple) -> np.ndarray:
        """The pose of the moment; whichever side is higher rolls over the other."""
        above, below = poses[0 if self._rolling < _ROLL / 2 else 1]
        higher = SIDE * (1.0 if self._body.sensors[4] >= 0 else -1.0) > 0
        pose = np.where(higher[:, None], above, below)
        pose[:, 0] *= SIDE
        return pose.ravel()


class StandUp:
    """The way from a fall to where a walk can begin: up, and still on its feet for half a second."""

    def __init__(self, body: Body) -> None:
        self._body, self._stood = body, 0
        self._rising = GetUp(body) if body.fallen else None

    def __call__(self) -> np.ndarray | None:
        """The next action (A,); None once it stands, or where it had not fallen."""
        body = self._body
        self._stood = self._stood + 1 if body.up > STANDS_UP and body.height > STANDS_HEIGHT else 0
        if self._rising is None or self._stood > HOLD / body.period:
            return None
        return body.legs_action(self._rising())
