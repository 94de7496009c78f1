"""What one rater answered: the last answers can be undone, the earlier ones are final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from robot_rl.preferences.types import Preference

DEPTH = 20  # answers of a rater that can be undone


class History:
    """Answers by question key in the order given; final ones wait here until they are stored."""

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        self._open: dict[str, Preference] = {}  # can be undone, oldest first
        self._final: dict[str, Preference] = {}
        self._undone: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return key in self._open or key in self._final

    def add(self, key: str, answer: Preference) -> None:
        """Append an answer; the one that leaves the window becomes final."""
        self._open[key] = answer
        while len(self._open) > self._depth:
            oldest = next(iter(self._open))
            self._final[oldest] = self._open.pop(oldest)

    def undo(self) -> None:
        """Take the last answer back."""
        key, _ = self._open.popitem()
        self._undone[key] += 1

    def attempt(self, key: str) -> int:
        """How often this question's answer was taken back: tells a late repeat from a new answer."""
        return self._undone[key]

    @property
    def last(self) -> str | None:
        """The key of the answer that an undo would take back."""
        return next(reversed(self._open), None)

    @property
    def recent(self) -> list[Preference]:
        """The answers that can be undone, oldest first."""
        return list(self._open.values())

    def settle(self, keys: Collection[str] | None = None) -> None:
        """Make answers final, all or those to some questions, in the order in which they were given."""
        for key in list(self._open):
            if keys is None or key in keys:
                self._final[key] = self._open.pop(key)

    def keys(self) -> set[str]:
        """The questions that have an answer here."""
        return set(self._open) | set(self._final)

    @property
    def final(self) -> Mapping[str, Preference]:
        """Final answers that are not stored yet."""
        return dict(self._final)

    def stored(self, keys: Iterable[str]) -> None:
        """Forget final answers, which the label store has by now."""
        for key in keys:
            self._final.pop(key, None)
