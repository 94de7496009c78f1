"""What is said of a camera's pictures as they come: reward, success, and how late.

Free of ROS and of torch: reward model and success classifier are passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_rl.errors import BadInput

_KEPT = 1024  # latencies that the figures are of

# Pictures (N, H, W, 3) uint8 -> mean and std (N,) of the reward, in standard deviations over the data.
RewardFunction = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Detector(Protocol):
    """Follows one camera, as `robot_rl.rewards.success.SuccessDetector` does; its rule is its own."""

    probability: float  # of success in the newest picture

    def __call__(self, picture: np.ndarray) -> bool:
        """Take the next picture (H, W, 3) uint8 and say whether the goal counts as reached."""
        ...

    def reset(self) -> None:
        """Forget the pictures before."""
        ...


@dataclass(frozen=True)
class Judged:
    """What was said of one picture; None where nobody says it."""

    mean: float | None  # of the reward
    std: float | None  # of the reward, over the members of the ensemble
    success: bool | None = None  # whether the goal counts as reached
    probability: float | None = None  # that this picture shows success


class Judge:
    """Judges one picture after another; times are s of the clock that stamps pictures."""

    def __init__(self, reward: RewardFunction | None = None, success: Detector | None = None) -> None:
        """Raises BadInput where neither is given."""
        if reward is None and success is None:
            raise BadInput("model, success: give a labeling, a success classifier, or both")
        self._reward, self._success = reward, success
        self._latencies: deque[float] = deque(maxlen=_KEPT)

    def __call__(self, picture: np.ndarray) -> Judged:
        """Judge a picture (H, W, 3) uint8."""
        mean = std = success = probability = None
        if self._reward is not None:
            mean, std = (float(values[0]) for values in self._reward(picture[None]))
        if self._success is not None:
            success, probability = self._success(picture), self._success.probability
        return Judged(mean, std, success, probability)

    def reset(self) -> None:
        """Forget the pictures before, at the start of an episode."""
        if self._success is not None:
            self._success.reset()

    def said(self, stamp: float, now: float) -> None:
        """Note that what was said of the picture of `stamp` is out."""
        self._latencies.append(now - stamp)

    def summary(self) -> dict[str, str]:
        """Figures to show: latency from picture to verdict (ms, median and 99th percentile)."""
        if not self._latencies:
            return {}
        p50, p99 = 1e3 * np.percentile(self._latencies, [50, 99])
        return {"latency": f"{p50:.0f} ms (p99 {p99:.0f} ms)"}


def judges(rewards: Sequence[RewardFunction], detectors: Sequence[Detector]) -> list[Judge]:
    """One judge a task; what is given once judges all of them. Raises BadInput where nothing is given."""
    count = max(len(rewards), len(detectors), 1)
    for name, given in (("model", rewards), ("success", detectors)):
        if len(given) not in (0, 1, count):
            raise BadInput(f"{name}: {len(given)} folders are given, but {count} tasks are judged")

    def of(given: Sequence, task: int) -> object:
        return given[min(task, len(given) - 1)] if given else None

    return [Judge(of(rewards, task), of(detectors, task)) for task in range(count)]
