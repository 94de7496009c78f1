"""All sources of a robot together: what they measured last, how old it is, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

from robot_rl.deploy.watch import Watch
from robot_rl.specs.robot_contract import RobotContract


def is_finite(value: object) -> bool:
    """Whether a value is a finite number (text, None and integers beyond any float are not)."""
    try:
        return abs(float(value)) < float("inf")
    except (TypeError, ValueError, OverflowError):
        return False


class Sources:
    """The latest readings of a contract's sources and of the cameras that it requires."""

    def __init__(self, contract: RobotContract) -> None:
        seen = {name: camera for name, camera in contract.cameras.items() if camera.required}
        self._watches = {name: Watch.of(name, one) for name, one in (contract.sources | seen).items()}
        self._parts = {name: tuple(source.parts) for name, source in contract.sources.items()}
        self._source_of = {part: name for name, parts in self._parts.items() for part in parts}
        self._required = [n for n in self._watches if n in seen or contract.sources[n].required]
        self._limits = contract.faults
        self._walled = tuple(contract.workspace)
        self.measured: dict[str, float] = {}  # state part -> value in its unit

    def heard(
        self, source: str, values: Mapping[str, float], stamp: float | None, wall: float, now: float
    ) -> None:
        """Note a reading; one that lacks a part, is not finite or out of order does not count."""
        watch = self._watches.get(source)
        if watch is None:
            return
        for part in self._parts.get(source, ()):
            if not is_finite(values.get(part)):
                told = f"'{part}' is {values[part]}" if part in values else f"no '{part}' in it"
                self.misread(source, told)
                return
        if watch.jumped and source not in self._required:
            watch.forget()  # it never stops the robot, so nobody would be told to look at it
        if watch.heard(stamp, wall, now):
            self.measured.update({part: float(values[part]) for part in self._parts.get(source, ())})

    def misread(self, source: str, why: str) -> None:
        """Note a message that could not be used."""
        if source in self._watches:
            self._watches[source].misread = why

    def alarm(self) -> str:
        """What a person has to look at before motion goes on: a clock that jumped or a fault; or ""."""
        for name in self._required:
            if self._watches[name].jumped:
                return f"{self._watches[name].jumped}; look at the robot's clock, then reset"
        for part, (low, high) in self._limits.items():
            value = self.measured.get(part, low)
            if not low <= value <= high:
                return f"'{part}' is {value:.4g}, outside {low} to {high}; look at the robot, then reset"
        return ""

    def problem(self, wall: float, now: float) -> str:
        """Why the sources cannot be trusted at this moment, or ""."""
        return next((told for n in self._required if (told := self._watches[n].problem(wall, now))), "")

    def fresh(self, part: str, wall: float, now: float) -> bool:
        """Whether a state part has been measured, by a source that can be trusted now."""
        watch = self._watches[self._source_of[part]]
        return part in self.measured and not watch.problem(wall, now)

    def ages(self, wall: float, now: float) -> dict[str, float]:
        """Seconds since the state parts that have walls were measured."""
        return {part: self._watches[self._source_of[part]].age(wall, now) for part in self._walled}

    def forget_jumps(self) -> None:
        """Believe again, from their next reading on, the sources whose clock jumped."""
        for watch in self._watches.values():
            if watch.jumped:
                watch.forget()

    def forget(self) -> None:
        """Forget when anything was heard: our own clock jumped."""
        for watch in self._watches.values():
            watch.forget()
