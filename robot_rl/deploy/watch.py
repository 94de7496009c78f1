"""Judges how old a source's latest reading is, and whether its clock can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite

from robot_rl.specs.robot_contract import CameraTopic, Source

_DRIFT = 1e-3  # s/s; two clocks that drift apart faster have jumped


@dataclass
class Watch:
    """The freshness of one source; times in s, `now` monotonic and `wall` of the clock that stamps.

    A reading that repeats or precedes the latest stamp is dropped. A stamp that jumps is told by `jumped`
    until `forget`. Stamps of another clock say how much later than the fastest message one arrives.
    """

    name: str
    stale: float  # s
    clock: str = "ours"
    jumped: str = ""
    misread: str = ""  # why the latest message could not be used
    dropped: int = 0
    received: float | None = field(default=None, init=False)
    _stamped: bool = field(default=False, init=False)  # the latest reading had a stamp
    stamp: float | None = field(default=None, init=False)
    _offset: float | None = field(default=None, init=False)  # now - stamp of the fastest delivery, s
    _late: float = field(default=0.0, init=False)  # s by which the latest reading of another clock was slower

    @classmethod
    def of(cls, name: str, source: Source | CameraTopic) -> Watch:
        """The watch of a contract's source or camera."""
        return cls(name, source.stale, source.clock)

    def heard(self, stamp: float | None, wall: float, now: float) -> bool:
        """Note a reading; returns whether it counts. `stamp` is None for messages without a header."""
        if stamp is not None and not isfinite(stamp):
            self.misread = f"its stamp is {stamp}"
            return False
        if stamp is not None and self.stamp is not None and stamp <= self.stamp:
            self.dropped += 1
            if self.stamp - stamp > self.stale:
                self.jumped = f"stamps of '{self.name}' went back by {self.stamp - stamp:.3g} s"
            return False
        if stamp is not None and self._ran_ahead(stamp, wall, now):
            return False
        # A message without a header among others must not open the door to older ones.
        self.stamp = self.stamp if stamp is None else stamp
        self._stamped, self.received, self.misread = stamp is not None, now, ""
        return True

    def _ran_ahead(self, stamp: float, wall: float, now: float) -> bool:
        """Whether a stamp lies in the future of our clock, or of its own clock so far."""
        if self.clock == "ours":
            if stamp - wall > self.stale:
                self.jumped = (
                    f"stamps of '{self.name}' are {stamp - wall:.3g} s ahead of our clock; synchronise the "
                    "clocks, or write `clock: theirs` in the contract"
                )
                return True
            return False
        offset = now - stamp
        fastest = offset
        if self._offset is not None and self.received is not None:
            expected = self._offset + _DRIFT * max(now - self.received, 0.0)
            if offset < expected - self.stale:
                self.jumped = f"stamps of '{self.name}' jumped ahead by {expected - offset:.3g} s"
                return True
            fastest = min(offset, expected)
        self._offset, self._late = fastest, offset - fastest
        return False

    def age(self, wall: float, now: float) -> float:
        """Seconds since the latest reading was taken; infinite before the first."""
        if self.received is None:
            return inf
        since = now - self.received
        if not self._stamped or self.stamp is None:
            return since
        return max(since, wall - self.stamp) if self.clock == "ours" else since + self._late

    def problem(self, wall: float, now: float) -> str:
        """Why the source cannot be trusted now, or ""."""
        if self.jumped:
            return self.jumped
        age = self.age(wall, now)
        if age <= self.stale:
            return ""
        if self.misread:
            return f"'{self.name}' cannot be used: {self.misread}"
        if self.received is None:
            return f"'{self.name}' has not been heard yet"
        if now - self.received <= self.stale:
            limit = f"(limit {self.stale:.3g} s)"
            told = f"'{self.name}' arrives {age:.3g} s after its stamp {limit}: slow link, or"
            if self.clock == "theirs":
                return f"{told} a clock that runs slow; look at the network and at the robot's clock"
            return f"{told} clocks that differ; synchronise them, or write `clock: theirs` in the contract"
        return f"'{self.name}' is {age:.3g} s old (limit {self.stale:.3g} s): is its driver running?"

    def forget(self) -> None:
        """Begin anew, after a person looked at a jump."""
        self.jumped, self.received, self.stamp, self._offset, self._late = "", None, None, None, 0.0
