"""From a success classifier's scores to a probability and a threshold, by held-out labels alone."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from robot_rl.errors import BadInput

SURE = 0.95  # confidence of a promised rate
_ROUNDS, _RESAMPLES = 50, 400  # of Newton's method; of the episodes


def fit_platt(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope and offset of P(success) = sigmoid(slope * score + offset) from scores (n,) and truth (n,) bool.

    Platt 1999, with his targets (n_1 + 1) / (n_1 + 2) and 1 / (n_0 + 2), which keep classes that are told
    apart without an error finite. A score that falls with success gets slope 0: it says nothing.
    """
    spread = float(scores.std()) or 1.0
    x = np.stack([(scores - scores.mean()) / spread, np.ones(len(scores))], 1)
    ones, zeros = int(truth.sum()), int((~truth).sum())
    y = np.where(truth, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    beta = np.array([0.0, math.log((ones + 1) / (zeros + 1))])
    for _ in range(_ROUNDS):
        p = sigmoid(x @ beta)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (p - y))
        beta = beta - step / max(1.0, float(np.abs(step).max()))  # at most 1: far steps overshoot
        if np.abs(step).max() < 1e-9:
            break
    if beta[0] <= 0:
        return 0.0, math.log((ones + 1) / (zeros + 1))
    slope = float(beta[0]) / spread
    return slope, float(beta[1] - slope * scores.mean())


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(np.asarray(x, np.float64) / 2))


def least_negatives(rate: float) -> int:
    """How many negatives without one error show that a false-positive rate is at most `rate`.

    (1 - rate)^n <= 1 - SURE; the "rule of three" of small rates, n = 3 / rate.
    """
    return math.ceil(math.log(1 - SURE) / math.log(1 - rate))


def check_support(truth: np.ndarray, episodes: np.ndarray, rate: float) -> None:
    """Refuse a rate that held-out frames (n,) of these `episodes` (n,) could not show; raises BadInput."""
    negatives, positives = int((~truth).sum()), int(truth.sum())
    needed = least_negatives(rate)
    if negatives < needed:
        shown = 1 - (1 - SURE) ** (1 / max(negatives, 1))
        least = f"ask for {math.ceil(1000 * shown) / 1000:g} or more, or " if shown <= 0.5 else ""
        raise BadInput(
            f"false positives: {negatives} held-out frames without success cannot show a rate of {rate:g} "
            f"({needed} are needed for {SURE:.0%} confidence); {least}label more frames in other episodes"
        )
    if not positives:
        raise BadInput(
            "false negatives: no held-out frame shows success, so nothing can be said of how often it is "
            "missed; label some in other episodes"
        )
    if len(np.unique(episodes[~truth])) < 2:
        raise BadInput(
            "false positives: all held-out frames without success are of one episode, and frames of one "
            "episode are alike; hold out at least 2"
        )


def choose_threshold(scores: np.ndarray, truth: np.ndarray, episodes: np.ndarray, rate: float) -> float:
    """The score from which on a frame counts as success: the fewest errors that keep the promised `rate`.

    Of scores, truth and episodes (n,). Allowed are thresholds whose share of false positives is at most
    `rate` with 95 % confidence (`highest_rates`); of these the one with the smallest sum of both error rates,
    halfway between the scores on either side of it. Above all scores where none is allowed.
    """
    levels = np.unique(scores)
    cuts = np.append(
        np.append(levels[0] - 1.0, (levels[1:] + levels[:-1]) / 2), np.nextafter(levels[-1], np.inf)
    )
    missed = np.searchsorted(np.sort(scores[truth]), cuts) / max(int(truth.sum()), 1)
    negatives, names = scores[~truth], episodes[~truth]
    false = 1 - np.searchsorted(np.sort(negatives), cuts) / max(len(negatives), 1)
    allowed = highest_rates(negatives, names, cuts) <= rate
    allowed[-1] = True
    best = np.flatnonzero(allowed)[np.argmin((missed + false)[allowed])]
    return float(cuts[best])


def highest_rates(negatives: np.ndarray, episodes: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Upper ends (T,) of the rates of false positives at thresholds `cuts` (T,), one-sided, 95 %.

    The higher one of two bounds, from scores (m,) without success and their episodes (m,): Wilson's, which
    takes the frames for independent, and that of resampling the episodes, since frames of one are alike.
    """
    names, group = np.unique(episodes, return_inverse=True)
    ranked = [np.sort(negatives[group == k]) for k in range(len(names))]
    count = np.array([len(part) for part in ranked])  # (E,)
    false = np.stack([len(part) - np.searchsorted(part, cuts) for part in ranked])  # (E, T)
    share, n, z = false.sum(0) / count.sum(), count.sum(), NormalDist().inv_cdf(SURE)
    spread = np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    wilson = (share + z**2 / (2 * n) + z * spread) / (1 + z**2 / n)
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    resampled = np.quantile((draws @ false) / (draws @ count)[:, None], SURE, axis=0)
    return np.maximum(wilson, resampled)
