"""Stands in for ros2_control's joint_trajectory_controller, which pip does not have.

It takes and refuses what the controller's `validate_trajectory_msg` does, begins a message without a stamp
when it comes, and moves in straight lines from where it was told to be (interpolate_from_desired_state).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from trajectory_msgs.msg import JointTrajectory


class TrajectoryStandIn:
    """Joints that follow trajectories, perfectly; times in s of a monotonic clock."""

    def __init__(self, joints: Sequence[str], positions: Sequence[float]) -> None:
        self.joints = list(joints)
        self.refused: list[str] = []
        self.targets: list[np.ndarray] = []  # (J,) rad, in our order
        self._from = self._to = np.array(positions, float)
        self._began, self._takes = time.monotonic(), 1.0

    def positions(self) -> np.ndarray:
        """(J,) rad, now."""
        share = min((time.monotonic() - self._began) / self._takes, 1.0)
        return self._from + share * (self._to - self._from)

    def heard(self, message: JointTrajectory) -> None:
        """Follow a message from now on, or refuse it."""
        if told := self._wrong(message):
            self.refused.append(told)
            return
        (point,) = message.points
        target = np.array([point.positions[message.joint_names.index(name)] for name in self.joints])
        self._from, self._to, self._began = self.positions(), target, time.monotonic()
        self._takes = point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec
        self.targets.append(target)

    def _wrong(self, message: JointTrajectory) -> str:
        if sorted(message.joint_names) != sorted(self.joints):
            return f"joints {message.joint_names}"
        if message.header.stamp.sec or message.header.stamp.nanosec:
            return "a stamp: it would be dropped where it comes late"
        if len(message.points) != 1:
            return f"{len(message.points)} points"
        (point,) = message.points
        if len(point.positions) != len(self.joints):
            return f"{len(point.positions)} positions"
        if any(point.velocities) or any(point.accelerations) or any(point.effort):
            return "it does not end at rest"
        if point.time_from_start.sec <= 0 and point.time_from_start.nanosec <= 0:
            return "no time"
        return ""
