"""When a policy acts: as soon as the sources that keep its pace are all fresh, else by the clock.

A timer of its own beside a robot that publishes at the same rate would act now on this reading, now on the
one before, as the two drift. A reading that is late is waited for only so long that the step is not.
"""

from __future__ import annotations

from robot_rl.specs.robot_contract import RobotContract

_EARLY = 0.1  # periods by which a timer may be early
_LIKE = 0.1  # a source keeps the policy's pace if its rate differs by no more than this share
# Periods between two steps. A reading that missed its step by no more than a quarter leads the next but one,
# since _LATEST - 1 <= _SOONEST; otherwise the clock would lead for ever.
_SOONEST, _LATEST = 0.25, 1.25


class Pace:
    """Decides when the next control step is; times are s of a monotonic clock."""

    def __init__(self, contract: RobotContract) -> None:
        rate, self._period = contract.control_rate, contract.period
        required = {name: source for name, source in contract.sources.items() if source.required}
        self._leading = {n for n, s in required.items() if abs(s.rate - rate) <= _LIKE * rate}
        self._fresh: set[str] = set()
        self._last = float("-inf")

    def heard(self, source: str, now: float) -> bool:
        """Note a reading of a source; returns whether to act now."""
        if source not in self._leading:
            return False
        self._fresh.add(source)
        if self._fresh < self._leading:
            return False
        self._fresh.clear()
        return now - self._last > _SOONEST * self._period

    def due(self, now: float) -> bool:
        """Whether to act by the clock: each period, or, where sources lead, when they are late."""
        return now - self._last > ((_LATEST if self.led else 1.0) - _EARLY) * self._period

    def acted(self, now: float) -> None:
        """Note a step."""
        self._last = now

    @property
    def led(self) -> bool:
        """Whether sources lead; the timer then counts anew from each step."""
        return bool(self._leading)

    @property
    def timer(self) -> float:
        """Seconds after which to ask `due`, again and again."""
        return (_LATEST if self.led else 1.0) * self._period
