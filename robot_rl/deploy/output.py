"""What a guard says at each tick, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """What the guard is doing."""

    INACTIVE = "inactive"  # nothing is commanded; a person (or a simulation's launcher) must enable
    RUNNING = "running"  # the policy's wishes, within limits
    INTERVENTION = "intervention"  # a person's commands, within the same limits
    STOPPED = "stopped"  # the stop command, until what is wrong has gone
    ESTOP = "estop"  # the stop command, until a person resets


MOVING = (Mode.RUNNING, Mode.INTERVENTION)


@dataclass(frozen=True)
class Output:
    """What to publish now: nothing where `commands` is None and `damp` is False."""

    mode: Mode
    commands: dict[str, float] | None = None  # action -> command in its channel's unit
    damp: bool = False
    hits: tuple[str, ...] = ()  # actions whose wish was changed by a limit
    why: str = ""  # why it is not running, and what to do


@dataclass
class Counts:
    """What has happened so far, for diagnostics."""

    commands: int = 0  # towards a wish; stop commands are not among them
    limited: int = 0
    bad_wishes: int = 0
    stops: int = 0
    late: int = 0  # commands repeated because no new wish had come
    hits: dict[str, int] = field(default_factory=dict)

    def command(self, hits: tuple[str, ...], late: bool) -> None:
        """Count a command, the actions that a limit changed, and whether its wish was an old one."""
        self.commands += 1
        self.limited += bool(hits)
        self.late += late
        for name in hits:
            self.hits[name] = self.hits.get(name, 0) + 1
