"""Keeps a stream of commands within a contract's limits: value, rate, acceleration, walls of the workspace.

Whatever is wished, every command obeys the limits, and one that obeys them next time always exists: speed
towards a bound never exceeds what can still be braked away before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.specs.robot_contract import RobotContract

_LATENCY = 2  # periods between a measured position and the effect of the command computed from it


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
        self.period = contract.period
        self._walls = [(part, w, self.actions.index(w.driven_by)) for part, w in contract.workspace.items()]
        self.last = np.zeros(len(channels))  # (A,) the last command
        self.speed = np.zeros(len(channels))  # (A,) its rate of change, unit/s

    def rest_at(self, command: np.ndarray) -> None:
        """Begin, or stop, at a command (A,): its rate of change is taken to be 0."""
        self.last = np.clip(np.asarray(command, np.float64), self.low, self.high)
        self.speed = np.zeros(len(self.last))

    def __call__(
        self, wish: np.ndarray, elapsed: float, measured: Mapping[str, float], authority: float = 1.0
    ) -> Limited:
        """The allowed command nearest to a finite `wish` (A,), `elapsed` s after the last one.

        `measured` holds the state parts that walls speak of; `authority` in [0, 1] scales the rate limit.
        Time beyond one period is not made up for.
        """
        dt = min(max(elapsed, 1e-6), self.period)
        target = self._within_walls(np.asarray(wish, np.float64), measured)
        slowest, fastest = self._speeds(dt, authority)
        speed = np.clip((target - self.last) / dt, slowest, fastest)
        command = np.clip(self.last + speed * dt, self.low, self.high)
        self.speed, self.last = (command - self.last) / dt, command
        changed = ~np.isclose(command, wish, rtol=0, atol=1e-9 + 1e-6 * (self.high - self.low))
        return Limited(command, tuple(np.array(self.actions)[changed]))

    def _speeds(self, dt: float, authority: float) -> tuple[np.ndarray, np.ndarray]:
        """Slowest and fastest change (A,) in unit/s that keeps rate, acceleration and room to brake."""
        turn = self.acceleration * dt
        least, most = self.speed - turn, self.speed + turn
        fastest = np.minimum(most, brakeable(self.high - self.last, self.acceleration, dt))
        slowest = np.maximum(least, -brakeable(self.last - self.low, self.acceleration, dt))
        rate = authority * self.rate
        # A rate limit that has just shrunk below the present speed is reached by braking.
        fastest, slowest = (
            np.minimum(fastest, np.maximum(rate, least)),
            np.maximum(slowest, -np.maximum(rate, -most)),
        )
        return np.maximum(np.minimum(slowest, fastest), -self.rate), np.minimum(fastest, self.rate)

    def _within_walls(self, wish: np.ndarray, measured: Mapping[str, float]) -> np.ndarray:
        """Take from velocities what would carry a measured position through a wall."""
        target = wish.copy()
        for part, wall, index in self._walls:
            horizon = _LATENCY * self.period
            room_up = brakeable(wall.high - measured[part], self.rate[index], horizon)
            room_down = brakeable(measured[part] - wall.low, self.rate[index], horizon)
            target[index] = np.clip(target[index], -room_down, room_up)
        return target


def brakeable(gap: np.ndarray | float, deceleration: np.ndarray | float, dt: float) -> np.ndarray:
    """The highest speed v >= 0 that, kept for `dt`, can then be braked within `gap`: v dt + v²/2a <= gap."""
    gap = np.maximum(gap, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        limited = 2 * gap / (dt + np.sqrt(dt * dt + 2 * gap / deceleration))
    return np.where(np.isinf(deceleration), gap / dt, limited)
