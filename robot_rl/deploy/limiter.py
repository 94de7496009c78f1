"""Keeps a stream of commands within a contract's limits: value, rate, acceleration, walls of the workspace.

Whatever is wished, every command obeys the limits, and one that obeys them next time always exists: speed
towards the wish, which lies within the bounds, never exceeds what can still be braked away before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from robot_rl.deploy.walls import Walls, brakeable
from robot_rl.specs.robot_contract import RobotContract

_PAUSE = 2.0  # periods without a command after which the robot has come to rest at the last one
_NO_AGES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Limited:
    """A command within all limits, and the actions whose wish had to be changed."""

    command: np.ndarray  # (A,) float64, in the channels' units
    hits: tuple[str, ...]


class Limiter:
    """Limits for all channels of a contract, remembering the last command and its rate of change."""

    def __init__(self, contract: RobotContract) -> None:
        channels = contract.channels()
        self.actions = tuple(channels)
        self.low = np.array([c.low for c in channels.values()])
        self.high = np.array([c.high for c in channels.values()])
        self.rate = np.array([c.rate_limit for c in channels.values()])  # unit/s
        self.acceleration = np.array([c.acceleration_limit or np.inf for c in channels.values()])  # unit/s²
        self.positions = np.array([contract.kind_of(name) == "position" for name in channels])  # (A,) bool
        self.period = contract.period
        self._walls = Walls(contract)
        self._slack = 1e-9 + 1e-6 * (self.high - self.low)  # of a wish that counts as met
        self.last = np.zeros(len(channels))  # (A,) the last command
        self.speed = np.zeros(len(channels))  # (A,) its rate of change, unit/s

    def rest_at(self, command: np.ndarray) -> None:
        """Begin, or stop, at a command (A,): its rate of change is taken to be 0."""
        if self.last.any():  # what moved until now may have done so for as long as commands are ever apart
            self._walls.sent(self.last, _PAUSE * self.period)
        self.last = np.clip(np.asarray(command, np.float64), self.low, self.high)
        self.speed = np.zeros(len(self.last))

    def __call__(
        self,
        wish: np.ndarray,
        elapsed: float,
        measured: Mapping[str, float],
        authority: float = 1.0,
        ages: Mapping[str, float] = _NO_AGES,
    ) -> Limited:
        """The allowed command nearest to a `wish` (A,), `elapsed` s after the last one.

        `measured` holds the state parts that walls speak of, and `ages` how many s ago they were measured;
        `authority` in [0, 1] scales the rate limit, except for braking. Time beyond one period is not made up
        for. A wish that is not a number leaves the command where it is.
        """
        dt = min(max(1e-6, elapsed), self.period)  # in this order, what is not a number is the least
        self._walls.sent(self.last, max(0.0, elapsed))
        if elapsed > _PAUSE * self.period:
            self.speed = np.zeros(len(self.last))
        wish = np.asarray(wish, np.float64)
        known = np.where(np.isnan(wish), self.last, wish)
        target = np.clip(self._walls(known, measured, ages), self.low, self.high)
        slowest, fastest = self._speeds(dt, authority)
        gap = target - self.last
        speed = np.clip(np.sign(gap) * brakeable(np.abs(gap), self.acceleration, dt), slowest, fastest)
        command = np.clip(self.last + speed * dt, self.low, self.high)  # of rounding alone
        self.speed, self.last = (command - self.last) / dt, command
        met = np.abs(command - wish) <= self._slack
        return Limited(
            command, tuple(name for name, as_is in zip(self.actions, met, strict=True) if not as_is)
        )

    def _speeds(self, dt: float, authority: float) -> tuple[np.ndarray, np.ndarray]:
        """Slowest and fastest change (A,) in unit/s that keeps rate and acceleration."""
        turn = self.acceleration * dt
        least, most = self.speed - turn, self.speed + turn
        up, down = self._rates(dt, authority)
        # A rate limit that has just shrunk below the present speed is reached by braking.
        return np.maximum(least, -np.maximum(down, -most)), np.minimum(most, np.maximum(up, least))

    def _rates(self, dt: float, authority: float) -> tuple[np.ndarray, np.ndarray]:
        """Rate limits (A,) up and down; a velocity or effort may always go back to 0 at the full rate."""
        reduced = authority * self.rate
        back = np.maximum(reduced, np.minimum(self.rate, np.abs(self.last) / dt))
        up = np.where(~self.positions & (self.last < 0), back, reduced)
        down = np.where(~self.positions & (self.last > 0), back, reduced)
        return up, down
