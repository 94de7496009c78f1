"""One rater's work: which question is his current one, what he answered, and what the page shows of it.

Requests of several tabs and the run itself come from different threads; one lock keeps them apart.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from robot_rl.preferences.human.answer import preference
from robot_rl.preferences.human.history import History
from robot_rl.preferences.human.journal import Journal
from robot_rl.preferences.human.pace import SURE, pace
from robot_rl.preferences.human.plan import Turn
from robot_rl.preferences.types import Preference

AHEAD = 3  # further questions whose pictures the page loads early
_MOST_SECONDS = 86_400.0


class RaterSession:
    """The turns of one rater; `stored` names those that the label store answers, `journal` may be None."""

    def __init__(
        self,
        rater: str,
        turns: Sequence[Turn],
        stored: Collection[str] = (),
        journal: Journal | None = None,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self.rater = rater
        self._turns = {turn.key: turn for turn in turns}
        self._stored = set(stored)
        self._journal = journal
        self._changed = changed
        self._lock = threading.RLock()
        self._history = History()
        if journal is not None:
            journal.replay(self._history, self._stored.__contains__)
            # Answers to other questions, of a run that was killed, are kept but cannot be shown again.
            self._history.settle(self._history.keys() - set(self._turns))
        self._finished = False
        self._over_since = time.monotonic() if self._current() is None else None

    def answer(self, key: str, attempt: int, choice: str, seconds: float) -> bool:
        """Take an answer, whose `attempt` must be the question's present one; True where it counts.

        A repeat, a second tab's answer and one that was undone since count nothing. Raises KeyError for a
        question that is not this rater's, OSError where the answer cannot be written down.
        """
        with self._lock:
            turn = self._turns[key]
            if self._answered(key) or attempt != self._history.attempt(key):
                return False
            seconds = min(max(seconds, 0.0), _MOST_SECONDS) if math.isfinite(seconds) else 0.0
            given = preference(turn.question, choice, round(seconds, 3), self.rater)
            if self._journal is not None:
                self._journal.add(key, given)
            self._history.add(key, given)
            self._note()
            return True

    def undo(self, key: str, attempt: int) -> bool:
        """Take the last answer back, if it is still this one; True where that was done."""
        with self._lock:
            if key != self._history.last or attempt != self._history.attempt(key):
                return False
            if self._journal is not None:
                self._journal.undo(key)
            self._history.undo()
            self._finished = False
            self._note()
            return True

    def finish(self, wish: bool) -> None:
        """End this rater's part early, or take that back."""
        with self._lock:
            self._finished = wish
            self._note()

    def over(self, grace: float) -> bool:
        """Whether he ended his part, or answered everything at least `grace` seconds ago."""
        with self._lock:
            since = self._over_since
            return self._finished or (since is not None and time.monotonic() - since >= grace)

    @property
    def complete(self) -> bool:
        """Whether every question has an answer."""
        with self._lock:
            return self._current() is None

    def settle(self) -> None:
        """Make every answer final."""
        with self._lock:
            self._history.settle()

    @property
    def final(self) -> Mapping[str, Preference]:
        """Final answers by key that are not stored yet."""
        with self._lock:
            return self._history.final

    def stored(self, keys: Collection[str]) -> None:
        """Be told that the label store has these answers by now."""
        with self._lock:
            self._history.stored(keys)
            self._stored.update(keys)

    def answered(self) -> set[int]:
        """The indices of his questions that have an answer."""
        with self._lock:
            done = [turn for key, turn in self._turns.items() if self._answered(key)]
            return {index for turn in done for index in turn.indices}

    def indices(self, key: str) -> tuple[int, ...]:
        """Which questions a key of his stands for."""
        return self._turns[key].indices

    @property
    def total(self) -> int:
        """How many questions he is to answer, those that he has answered included."""
        return len(self._turns)

    def drop(self, settled: Collection[int]) -> None:
        """Take out unanswered questions that need not go to every rater and that another one has answered."""
        with self._lock:
            unneeded = [
                key
                for key, turn in self._turns.items()
                if not (turn.shared or self._answered(key)) and turn.indices[0] in settled
            ]
            for key in unneeded:
                del self._turns[key]
            self._note()

    def state(self) -> dict[str, Any]:
        """What the page shows, as plain JSON values."""
        with self._lock:
            left = [turn for key, turn in self._turns.items() if not self._answered(key)]
            done, last = len(self._turns) - len(left), self._history.last
            recent = self._history.recent
            rate = pace(recent) if len(recent) >= SURE else None
            asking = bool(left) and not self._finished
            return {
                "rater": self.rater,
                "done": done,
                "total": len(self._turns),
                "pace": rate,
                "minutes_left": len(left) / rate if rate else None,
                "finished": "" if asking else ("early" if left else "all"),
                "question": self._shown(left[0]) if asking else None,
                "undo": None if last is None else {"key": last, "attempt": self._history.attempt(last)},
                "next": [name for turn in left[1 : 1 + AHEAD] for name in pictures_of(turn)],
            }

    def _shown(self, turn: Turn) -> dict[str, Any]:
        first, second = pictures_of(turn)
        attempt = self._history.attempt(turn.key)
        return {
            "key": turn.key,
            "attempt": attempt,
            "task": turn.question.task,
            "first": first,
            "second": second,
        }

    def _answered(self, key: str) -> bool:
        return key in self._stored or key in self._history

    def _current(self) -> str | None:
        return next((key for key in self._turns if not self._answered(key)), None)

    def _note(self) -> None:
        """Take note of the time at which nothing was left, and tell the run."""
        self._over_since = time.monotonic() if self._current() is None else None
        self._changed()


def pictures_of(turn: Turn) -> tuple[str, str]:
    """The names of a turn's two pictures, which are their hashes, in the order shown."""
    hashes = (turn.question.first_hash, turn.question.second_hash)
    return hashes if turn.question.order == "given" else hashes[::-1]
