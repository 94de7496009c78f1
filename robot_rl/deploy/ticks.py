"""Keeps count of a control loop's ticks: how late, how long, how many were missed."""

from __future__ import annotations

from collections import deque

import numpy as np

_KEPT = 4096  # ticks; the figures are of these


class Ticks:
    """Times of a loop that should run every `period` s.

    Where the next tick comes later than by half a period, those that were due meanwhile count as missed.
    """

    def __init__(self, period: float) -> None:
        self.period, self.count, self.missed = period, 0, 0
        self._last: float | None = None
        self._gaps: deque[float] = deque(maxlen=_KEPT)
        self._took: deque[float] = deque(maxlen=_KEPT)

    def note(self, began: float, ended: float) -> None:
        """Note a tick, in s of a monotonic clock."""
        self.count += 1
        if self._last is not None:
            gap = began - self._last
            self._gaps.append(gap)
            self.missed += max(round(gap / self.period) - 1, gap > 1.5 * self.period)
        self._last = began
        self._took.append(ended - began)

    def summary(self) -> dict[str, str]:
        """Figures to show: rate (Hz), missed ticks, time taken (ms, median and 99th percentile)."""
        if not self._gaps:
            return {"ticks": str(self.count)}
        p50, p99 = 1e3 * np.percentile(self._took, [50, 99])
        rate = 1 / float(np.mean(self._gaps))
        return {
            "ticks": str(self.count),
            "missed": str(self.missed),
            "rate": f"{rate:.1f} Hz",
            "step": f"{p50:.2f} ms (p99 {p99:.2f} ms)",
        }
