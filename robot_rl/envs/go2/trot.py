"""A trot from a pattern generator: diagonal feet swing together, the others push against the ground.

It follows a commanded velocity, open loop but for the attitude that the robot's own IMU measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.envs.go2.legs import HIPS, OFFSET, SIDE, joints_for, lifting

GRAVITY = 9.81  # m/s²
_CORNERS = HIPS + np.stack([np.zeros(4), SIDE * OFFSET], 1)  # (4, 2) feet of the stance in the trunk's frame
_AT_MOST = 90.0  # N, the load that a leg is prepared for


@dataclass(frozen=True)
class Gait:
    """The pattern; the defaults follow commands up to about 0.8 m/s and 0.8 rad/s on flat ground."""

    rate: float = 3.0  # Hz, strides
    duty: float = 0.56  # share of a stride that a foot is on the ground
    lift: float = 0.05  # m
    height: float = 0.26  # m, hips over feet
    offsets: tuple[float, float, float, float] = (0.0, 0.5, 0.5, 0.0)  # of the legs, in strides
    gain: float = 1.16  # of the stride: feet lag behind their targets
    mass: float = 15.2  # kg that the standing legs carry, prepared for in the targets
    level: float = 0.9  # m of leg per m of tilt, towards level
    ahead: float = 0.01  # m per rad/s of tilting: where the body tips to, the feet go
    stiffness: float = 70.0  # N m/rad of the joints' PD


def trot(gait: Gait, phase: float, command: np.ndarray, gravity: np.ndarray, spin: np.ndarray) -> np.ndarray:
    """(12,) joint targets at a phase (strides) for a command (3,): forward, left m/s, turn rad/s.

    `gravity` (3,) is its unit vector and `spin` (3,) the angular velocity (rad/s), both in the trunk's frame.
    """
    legs = (phase + np.asarray(gait.offsets)) % 1.0
    stands = legs < gait.duty
    along = np.where(stands, legs / gait.duty, (legs - gait.duty) / (1 - gait.duty))  # of stance or swing
    turning = np.stack([-_CORNERS[:, 1], _CORNERS[:, 0]], 1)
    stride = (command[:2] + command[2] * turning) * gait.gain * gait.duty / gait.rate  # (4, 2) m
    swing = along - 0.5 - np.sin(2 * np.pi * along) / (2 * np.pi)  # begins and ends without jerk
    feet = np.empty((4, 3))
    feet[:, :2] = stride * np.where(stands, 0.5 - along, swing)[:, None]
    feet[:, 0] += gait.ahead * spin[1]
    feet[:, 1] += SIDE * OFFSET - gait.ahead * spin[0] - 0.03 * gravity[1]
    tilt = gait.level * (_CORNERS @ gravity[:2])
    feet[:, 2] = np.where(stands, 0.0, gait.lift * np.sin(np.pi * along)) - gait.height
    feet[:, 2] -= np.clip(tilt, -0.05, 0.05)
    joints = joints_for(feet)
    share = np.where(stands, np.minimum(1.0, 7 * np.minimum(along, 1 - along)), 0.0)
    load = np.minimum(1.1 * gait.mass * GRAVITY * share / max(share.sum(), 1e-3), _AT_MOST)
    return joints - (lifting(joints) * load[:, None]).ravel() / gait.stiffness
