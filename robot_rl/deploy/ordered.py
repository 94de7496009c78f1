"""Puts what several topics say back into the order in which it was published, a moment later."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

_OLD = 5.0  # s; what was published longer ago was stamped by a clock that is not ours


class Ordered:
    """Work that waits for its turn; times are s of one clock."""

    def __init__(self, lag: float) -> None:
        """Take the `lag` (s) that a message may need to arrive."""
        self.lag = lag
        self._waiting: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = count()

    def put(self, published: float, now: float, work: Callable[[float], None]) -> None:
        """Let `work` wait for its turn; it is called with its time.

        A time in the future or long ago is another machine's, and not believed: then arrival counts.
        """
        time = published if now - _OLD <= published <= now else now
        heapq.heappush(self._waiting, (time, next(self._count), work))

    def release(self, now: float) -> float:
        """Do all work that is older than the lag, in order; returns the time up to which all was done."""
        until = now - self.lag
        while self._waiting and self._waiting[0][0] <= until:
            time, _, work = heapq.heappop(self._waiting)
            work(time)
        return until
