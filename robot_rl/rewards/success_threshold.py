"""From a success classifier's scores to a probability and a threshold, by held-out labels alone."""

from __future__ import annotations

import math

import numpy as np

from robot_rl.errors import BadInput

SURE = 0.95  # confidence of a promised rate
_ROUNDS = 50  # of Newton's method


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


def choose_threshold(scores: np.ndarray, truth: np.ndarray, rate: float) -> float:
    """The score from which on a frame counts as success: the fewest errors within the allowed `rate`.

    Among the thresholds with a share of false positives of at most `rate`, the one with the smallest sum of
    both error rates; it lies halfway between the scores on either side of it.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    ranked, hit = scores[order], truth[order]
    # Called success are the first k; k only where the next score differs.
    cut = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
    cut = np.concatenate([[0], cut])
    found = np.concatenate([[0], np.cumsum(hit)])[cut] / max(int(truth.sum()), 1)
    false = np.concatenate([[0], np.cumsum(~hit)])[cut] / max(int((~truth).sum()), 1)
    allowed = false <= rate + 1e-12
    k = int(cut[allowed][np.argmin((1 - found + false)[allowed])])
    if k == 0:
        return float(np.nextafter(ranked[0], np.inf))
    below = float(ranked[k]) if k < len(ranked) else float(ranked[-1]) - 1.0
    return (float(ranked[k - 1]) + below) / 2
