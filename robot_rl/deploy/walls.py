"""The walls of a workspace: what a velocity command may still be, given where the robot was last measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from robot_rl.specs.robot_contract import RobotContract

_LATENCY = 2  # periods between a measured position and the effect of the command computed from it


class Walls:
    """Walls of a contract, remembering the last commands: a reading of some age misses what came after it."""

    def __init__(self, contract: RobotContract) -> None:
        actions = tuple(contract.channels())
        rates = [channel.rate_limit for channel in contract.channels().values()]  # unit/s²
        self._walls = [
            (part, wall, index, rates[index])
            for part, wall in contract.workspace.items()
            for index in [actions.index(wall.driven_by)]
        ]
        self._horizon = _LATENCY * contract.period  # s
        stale = max((source.stale for source in contract.sources.values()), default=0.0)
        # Commands are at least half a period apart, and older readings than `stale` stop the robot.
        longest = min(int(2 * stale / contract.period) + 4, 10_000)
        self._sent: deque[tuple[float, np.ndarray]] = deque(maxlen=longest)  # s in force, command (A,)

    def sent(self, command: np.ndarray, seconds: float) -> None:
        """Note that a command (A,) was in force for so long."""
        if self._walls:
            self._sent.append((min(seconds, 1e9), command))  # the first has been in force for ever

    def __call__(
        self, wish: np.ndarray, measured: Mapping[str, float], ages: Mapping[str, float]
    ) -> np.ndarray:
        """Take from velocities (A,) what would carry a measured position through a wall.

        `ages` are s since the parts were measured, 0 where not given. A part never measured allows no motion.
        """
        target = wish.copy()
        for part, wall, index, deceleration in self._walls:
            if part not in measured:
                target[index] = 0.0
                continue
            up, down = self._travelled(index, ages.get(part, 0.0))
            room_up = brakeable(wall.high - measured[part] - up, deceleration, self._horizon)
            room_down = brakeable(measured[part] - wall.low - down, deceleration, self._horizon)
            target[index] = min(max(target[index], -room_down), room_up)
        return target

    def _travelled(self, index: int, age: float) -> tuple[float, float]:
        """Distances upwards and downwards that were commanded in the last `age` s."""
        up = down = 0.0
        for seconds, command in reversed(self._sent):
            if not age > 0:
                break
            way = float(command[index]) * min(seconds, age)
            up, down, age = up + max(way, 0.0), down + max(-way, 0.0), age - seconds
        return up, down


def brakeable(gap: np.ndarray | float, deceleration: np.ndarray | float, dt: float) -> np.ndarray:
    """The highest speed v >= 0 that, kept for `dt`, can then be braked within `gap`: v dt + v²/2a <= gap."""
    gap = np.maximum(gap, 0.0)
    with np.errstate(over="ignore"):
        limited = 2 * gap / (dt + np.sqrt(dt * dt + 2 * gap / deceleration))
    return np.where(np.isinf(deceleration), gap / dt, limited)
