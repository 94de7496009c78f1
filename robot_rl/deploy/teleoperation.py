"""A person's intervention: what they command while they hold the robot, and whether they are still there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_rl.deploy.sources import is_finite
from robot_rl.specs.robot_contract import RobotContract


class Teleoperation:
    """Commands of a person who holds the robot; `now` in s, monotonic.

    What they do not command holds its position, or has no velocity or effort.
    """

    def __init__(self, contract: RobotContract) -> None:
        channels = contract.channels()
        self._index = {name: index for index, name in enumerate(channels)}
        self._positions = np.array([contract.kind_of(name) == "position" for name in channels])
        self._timeout = contract.intervention.timeout
        self._topic = contract.intervention.hold
        self.held = self.fresh = False  # fresh: a command has come that was not yet sent
        self.forget(float("-inf"))

    def hold(self, held: bool, now: float) -> None:
        """Note whether a person holds the robot."""
        if held and not self.held:
            self.forget(now)
        self.held = held

    def heard(self, values: Mapping[str, float], now: float) -> str:
        """Note commands, action -> value in the channel's unit; returns what is wrong with them, or "".

        They count while the robot is held; names that the contract does not have are left out.
        """
        known = {self._index[name]: value for name, value in values.items() if name in self._index}
        if not self.held or not known:
            return ""
        if not all(is_finite(value) for value in known.values()):
            return "the teleoperator's command is not finite"
        for index, value in known.items():
            self._values[index], self._at[index] = float(value), now
        self.fresh, self._last = True, now
        return ""

    def wish(self, last: np.ndarray, now: float) -> np.ndarray:
        """What the person wants (A,), where `last` (A,) was the last command."""
        resting = np.where(self._positions, last, 0.0)
        in_force = self._positions | (now - self._at <= self._timeout)
        return np.where(in_force & ~np.isnan(self._values), self._values, resting)

    def vanished(self, now: float) -> str:
        """Says that the robot is held but nothing has been commanded for too long, or ""."""
        if not self.held or now - self._last <= self._timeout:
            return ""
        return (
            "the teleoperator vanished in the middle of an intervention; publish false on "
            f"'{self._topic}', reset, then enable"
        )

    def forget(self, now: float) -> None:
        """Forget what was commanded; the first new command has one time-out to come."""
        self._values = np.full(len(self._index), np.nan)  # (A,) in the channels' units
        self._at = np.full(len(self._index), -np.inf)  # (A,) s
        self.fresh, self._last = False, now
