"""Settings of the labeler human; everything is checked when they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from robot_rl.errors import BadInput

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_RANGES = {"port": (0, 65535), "shared": (0, 1), "seed": (0, 2**63 - 1), "grace": (0, 3600)}


@dataclass(frozen=True)
class HumanConfig:
    """Who rates and where the page is served; raises BadInput, naming the field, where a value is no good."""

    raters: tuple[str, ...] = ("me",)
    """Names of those who rate: 1 to 40 letters, digits, '-', '_' and '.' each; every one gets a link."""
    host: str = "127.0.0.1"
    """Address to serve at: this machine alone, or 0.0.0.0 for phones and others on a trusted network."""
    port: int = 0
    """Port to serve at; 0: a free one."""
    shared: float = 0.2
    """Share of the questions that every rater gets, in [0, 1], to measure how far they agree."""
    seed: int = 0
    """Decides who gets which questions, in which order, and which picture comes first."""
    grace: float = 10.0
    """Seconds after the last answer in which it can still be undone, 0 to 3600; then the run ends."""
    variant: str = ""
    """Tells apart answers given under other conditions, such as other instructions or longer strips."""

    def __post_init__(self) -> None:
        raters = (self.raters,) if isinstance(self.raters, str) else tuple(self.raters)
        object.__setattr__(self, "raters", raters)
        if not raters:
            raise BadInput("raters: is empty; name at least one, such as anna")
        seen: dict[str, str] = {}
        for name in raters:
            check_name(name)
            # File systems that do not tell case apart would give both the same journal.
            if name.casefold() in seen:
                raise BadInput(
                    f"raters: '{seen[name.casefold()]}' and '{name}' are alike; give each a name of his own"
                )
            seen[name.casefold()] = name
        if not self.host.strip():
            raise BadInput("host: is empty; give 127.0.0.1, or 0.0.0.0 for others on a network you trust")
        for field, (low, high) in _RANGES.items():
            if not low <= getattr(self, field) <= high:  # also refuses NaN
                raise BadInput(f"{field}: must be in [{low}, {high}], not {getattr(self, field)}")

    def answer_params(self) -> dict[str, Any]:
        """The settings that can change an answer, for the labeler's identity."""
        return {"variant": self.variant}


def check_name(name: str) -> None:
    """Refuse a rater's name that cannot stand in an address and a file's name; raises BadInput."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(
            f"raters: {name!r} is no name; use 1 to 40 letters (a-z, A-Z) or digits, '-', '_', '.'"
        )
