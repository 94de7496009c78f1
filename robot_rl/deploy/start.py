"""Where a robot's motion begins: a position command where it stands, velocities and efforts at 0."""

from __future__ import annotations

import numpy as np

from robot_rl.deploy.sources import Sources
from robot_rl.specs.robot_contract import RobotContract


class Start:
    """The command at which a robot rests that follows nobody, from the latest readings."""

    def __init__(self, contract: RobotContract, sources: Sources) -> None:
        self._channels, self._period, self._sources = contract.channels(), contract.period, sources

    def command(self) -> np.ndarray:
        """The resting command (A,) in the channels' units; 0 where nothing was measured."""
        measured = self._sources.measured
        return np.array([measured.get(channel.measured, 0.0) for channel in self._channels.values()])

    def outside(self) -> str:
        """Which position lies outside its limits by more than one period's motion, or ""."""
        for value, (name, channel) in zip(self.command(), self._channels.items(), strict=True):
            room = channel.rate_limit * self._period
            if not channel.low - room <= value <= channel.high + room:
                return (
                    f"'{channel.measured}' stands at {value:.4g} {channel.unit}, outside {channel.low} to "
                    f"{channel.high} of '{name}'; bring it inside first"
                )
        return ""

    def unknown(self, wall: float, now: float) -> str:
        """Why the robot cannot be held where it stands, or ""."""
        for channel in self._channels.values():
            if channel.measured and not self._sources.fresh(channel.measured, wall, now):
                return f"where '{channel.measured}' stands is not known"
        return self.outside()
