"""What a learned reward says of a camera's pictures as they come: reward, success, and how late.

Free of ROS and of torch: the reward model is passed in as a function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput

_KEPT = 1024  # latencies that the figures are of

# Pictures (N, H, W, 3) uint8 -> mean and std (N,) of the reward, in standard deviations over the data.
RewardFunction = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Judged:
    """What was said of one picture."""

    mean: float
    std: float  # over the members of the ensemble
    success: bool | None  # None where no threshold was given


class Judge:
    """Judges one picture after another; times are s of the clock that stamps pictures."""

    def __init__(self, reward: RewardFunction, threshold: float = float("nan"), hold: int = 3) -> None:
        """Take the reward from which on the task counts as done, once `hold` pictures in a row reach it.

        Without a threshold (nan) nothing is said about success.
        """
        if hold < 1:
            raise BadInput(f"hold: must be at least 1 picture, not {hold}")
        self._reward, self._threshold, self._hold = reward, threshold, hold
        self._reached = 0
        self._latencies: deque[float] = deque(maxlen=_KEPT)

    def __call__(self, picture: np.ndarray) -> Judged:
        """Judge a picture (H, W, 3) uint8."""
        mean, std = (float(values[0]) for values in self._reward(picture[None]))
        if np.isnan(self._threshold):
            return Judged(mean, std, None)
        self._reached = self._reached + 1 if mean >= self._threshold else 0
        return Judged(mean, std, self._reached >= self._hold)

    def reset(self) -> None:
        """Forget the pictures before, at the start of an episode."""
        self._reached = 0

    def said(self, stamp: float, now: float) -> None:
        """Note that what was said of the picture of `stamp` is out."""
        self._latencies.append(now - stamp)

    def summary(self) -> dict[str, str]:
        """Figures to show: latency from picture to reward (ms, median and 99th percentile)."""
        if not self._latencies:
            return {}
        p50, p99 = 1e3 * np.percentile(self._latencies, [50, 99])
        return {"latency": f"{p50:.0f} ms (p99 {p99:.0f} ms)"}
