"""How fast a rater is: pairs a minute, from the seconds that each answer took."""

from __future__ import annotations

from collections.abc import Iterable

from robot_rl.preferences.types import Preference

SURE = 5  # answers from which a pace is told at all
_BREAK = 60.0  # s; who looks longer at a pair is having a break


def pace(answers: Iterable[Preference]) -> float | None:
    """Pairs a minute, where one answer counts a minute at most; None without answers."""
    seconds = [min(answer.latency, _BREAK) for answer in answers]
    return 60.0 * len(seconds) / max(sum(seconds), 0.1 * len(seconds)) if seconds else None
