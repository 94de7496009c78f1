"""The numbers beside a report's plots: intervals, calibration and order correlation, in numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from robot_rl.errors import BadInput


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Bins:
    """Outcomes counted in consecutive bins; an empty bin has accuracy and confidence NaN."""

    edges: np.ndarray  # (B + 1,) float64
    accuracy: np.ndarray  # (B,) float64, share correct
    confidence: np.ndarray  # (B,) float64, mean of the binned quantity
    count: np.ndarray  # (B,) int64


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a success rate; `mean` is successes / n (Wilson 1927, eq. 4)."""
    if n < 1 or not 0 <= successes <= n:
        raise BadInput(f"wilson: needs 0 <= successes <= n and n >= 1, got successes={successes}, n={n}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = successes / n
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # Rounding may push the ends of 0 of n and n of n a hair past the rate itself.
    return Interval(
        rate, float(min(max(centre - half, 0.0), rate)), float(max(min(centre + half, 1.0), rate))
    )


def bootstrap_mean(values: np.ndarray, seed: int, n: int = 2000, confidence: float = 0.95) -> Interval:
    """Mean of `values` (N,) with its percentile bootstrap interval from `n` resamples."""
    values = _vector("values", values)
    rng = np.random.default_rng(seed)
    # One resample at a time: n x N indices at once would not fit for long columns.
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(n)]
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(values.mean()), float(low), float(high))


def calibration_bins(confidence: np.ndarray, correct: np.ndarray, bins: int = 10) -> Bins:
    """Count answers in `bins` equal bins of [0, 1]; `confidence` (N,) in [0, 1], `correct` (N,) bool."""
    confidence, correct = _vector("confidence", confidence), _vector("correct", correct)
    if confidence.min() < 0 or confidence.max() > 1:
        raise BadInput(f"confidence: must lie in [0, 1], got {confidence.min():g} to {confidence.max():g}")
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return _binned(np.linspace(0, 1, bins + 1), index, confidence, correct)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 10) -> float:
    """Sum over bins of count / N * |accuracy - mean confidence| (Guo et al. 2017, eq. 3)."""
    table = calibration_bins(confidence, correct, bins)
    used = table.count > 0
    gap = np.abs(table.accuracy[used] - table.confidence[used])
    return float((table.count[used] * gap).sum() / table.count.sum())


def accuracy_by_quantile(gap: np.ndarray, correct: np.ndarray, bins: int = 5) -> Bins:
    """Share of `correct` (N,) in bins of `gap` (N,) that hold about equally many; equal edges are merged."""
    gap, correct = _vector("gap", gap), _vector("correct", correct)
    edges = np.unique(np.quantile(gap, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    return _binned(edges, np.searchsorted(edges[1:-1], gap, side="right"), gap, correct)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two vectors (N,), ties averaged; NaN where either is constant."""
    a, b = _ranks(_vector("first", first)), _ranks(_vector("second", second))
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else float("nan")


def order_within_episodes(values: np.ndarray, episode_index: np.ndarray) -> np.ndarray:
    """Spearman's correlation of `values` (N,) with time inside each episode (E,), in order of appearance."""
    episode_index = np.asarray(episode_index)
    starts = np.flatnonzero(np.diff(episode_index)) + 1
    return np.array([spearman(part, np.arange(len(part))) for part in np.split(np.asarray(values), starts)])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks (N,) from 0, equal values sharing their mean rank."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count + 1) / 2)[inverse]


def _binned(edges: np.ndarray, index: np.ndarray, value: np.ndarray, correct: np.ndarray) -> Bins:
    """Means of `value` and `correct` (N,) per bin, given each one's bin `index` (N,)."""
    if len(value) != len(correct):
        raise BadInput(f"correct: must be as long as the binned values, got {len(correct)} and {len(value)}")
    bins = len(edges) - 1
    count = np.bincount(index, minlength=bins)
    share = np.where(count > 0, count, np.nan)
    accuracy = np.bincount(index, weights=correct, minlength=bins) / share
    return Bins(edges, accuracy, np.bincount(index, weights=value, minlength=bins) / share, count)


def _vector(name: str, values: np.ndarray) -> np.ndarray:
    """`values` as (N,) float64, N >= 1, all finite."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or len(vector) == 0:
        raise BadInput(f"{name}: must be a vector with at least one value, got shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise BadInput(
            f"{name}: must be finite, first bad value at index {int(np.argmin(np.isfinite(vector)))}"
        )
    return vector
