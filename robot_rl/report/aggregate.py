"""Scores of several runs in one number with an interval, as rliable reports them, in numpy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.statistics import Interval

_TRIM = 0.25  # share of the scores left out at either end


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean of all scores (runs, tasks): the mean of the middle half.

    A quarter of them, rounded down, is left out at either end (Agarwal et al., 2021, arXiv:2108.13264,
    section 4.3). Fewer than four scores give their plain mean.
    """
    values = np.sort(_matrix(scores), axis=None)
    cut = int(_TRIM * len(values))
    return float(values[cut : len(values) - cut].mean())


def stratified_bootstrap(
    scores: np.ndarray,
    statistic: Callable[[np.ndarray], float] = iqm,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A statistic of scores (runs, tasks) with its percentile interval over resampled runs.

    The runs of each task are drawn with replacement on their own, so that every task keeps as many (section
    4.1 of the same paper). One run gives no spread: its interval is the point itself.
    """
    scores = _matrix(scores)
    runs, tasks = scores.shape
    rng = np.random.default_rng(seed)
    draws = rng.integers(runs, size=(resamples, runs, tasks))
    found = [statistic(scores[draw, np.arange(tasks)]) for draw in draws]
    low, high = np.quantile(found, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(statistic(scores), float(low), float(high))


def _matrix(scores: np.ndarray) -> np.ndarray:
    """Scores as (runs, tasks) float64; a vector is one task. Raises BadInput."""
    matrix = np.asarray(scores, np.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.size == 0:
        raise BadInput(f"scores: must be runs x tasks with at least one of each, not shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise BadInput(
            f"scores: must be finite, not {matrix[~np.isfinite(matrix)][0]}; leave out failed runs"
        )
    return matrix
