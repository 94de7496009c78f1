"""How good a reward is: agreement with labels or with a true reward on pairs, calibration, order in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.rewards.checks import check_pairs, check_vector


class PairModel(Protocol):
    """The part of `RewardModel` that a report on held-out pairs needs."""

    def reward(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...

    def probability(self, features: np.ndarray, pairs: np.ndarray, *, noise: bool) -> np.ndarray: ...


@dataclass(frozen=True)
class GapAccuracy:
    """Pair accuracy against a true reward; shares in [0, 1], NaN where nothing was counted."""

    overall: float
    clear: float  # on the third of the pairs with the largest |true gap|
    by_bin: np.ndarray  # (bins,) float64, from the smallest |true gap| to the largest
    count: np.ndarray  # (bins,) int64, pairs in each bin


@dataclass(frozen=True)
class HoldoutReport:
    """A reward model against labels that it was not fitted on."""

    pairs: int  # ties included
    ties: int  # labels of exactly one half; they count for `ece` alone
    agreement: float  # share of the other labels whose side the model takes; NaN without any
    ece: float  # expected calibration error of the probability of the label, flipped labels included
    mean_std: float  # mean spread of the ensemble over the pairs' frames, in standard deviations of reward


def pair_accuracy(
    score: np.ndarray, pairs: np.ndarray, *, p: np.ndarray | None = None, gap: np.ndarray | None = None
) -> float:
    """Share of `pairs` (M, 2) that `score` (N,) orders as labels `p` (M,) or true gaps (M,) do.

    gap = true[second] - true[first]; exactly one of the two is given. Ties (p = 0.5, gap = 0) are left
    out, an equal score counts one half, and without a pair left it is NaN. Raises BadInput.
    """
    if (p is None) == (gap is None):
        raise BadInput("pair_accuracy: give either p (labels) or gap (differences of a true reward)")
    score = check_vector("score", score, np.size(score), -np.inf)
    pairs = check_pairs(pairs, len(score))
    if p is not None:
        wanted = check_vector("p", p, len(pairs), 0, 1) - 0.5
    else:
        wanted = check_vector("gap", gap, len(pairs), -np.inf)
    return _share(_right(score[pairs[:, 1]] - score[pairs[:, 0]], wanted), wanted != 0)


def accuracy_by_gap(score: np.ndarray, true: np.ndarray, pairs: np.ndarray, bins: int = 3) -> GapAccuracy:
    """Pair accuracy of `score` (N,) against a `true` reward (N,), in `bins` of |true gap| of equal size.

    Pairs with a true gap of 0 are left out: there is nothing to be right about. Raises BadInput.
    """
    score = check_vector("score", score, np.size(score), -np.inf)
    true = check_vector("true", true, len(score), -np.inf)
    pairs = check_pairs(pairs, len(score))
    if bins < 1:
        raise BadInput(f"bins: must be at least 1, not {bins}")
    gap = true[pairs[:, 1]] - true[pairs[:, 0]]
    right = _right(score[pairs[:, 1]] - score[pairs[:, 0]], gap)[gap != 0]
    right = right[np.argsort(np.abs(gap[gap != 0]), kind="stable")]  # from unclear to clear
    parts = np.array_split(right, bins)
    clear = right[len(right) - -(-len(right) // 3) :]
    by_bin = np.array([_share(part) for part in parts])
    return GapAccuracy(_share(right), _share(clear), by_bin, np.array([len(part) for part in parts]))


def holdout_report(model: PairModel, features: np.ndarray, pairs: np.ndarray, p: np.ndarray) -> HoldoutReport:
    """Compare `model` with labels `p` (M,) of `pairs` (M, 2) that it was not fitted on; raises BadInput."""
    pairs = check_pairs(pairs, len(features))
    p = check_vector("p", p, len(pairs), 0, 1)
    nearer = model.probability(features, pairs, noise=False).astype(np.float64)
    said = model.probability(features, pairs, noise=True).astype(np.float64)
    _, std = model.reward(np.asarray(features)[np.unique(pairs)])
    agreement = _share(_right(nearer - 0.5, p - 0.5), p != 0.5)
    return HoldoutReport(
        len(pairs), int((p == 0.5).sum()), agreement, _calibration_error(said, p), float(std.mean())
    )


def episode_order(mean: np.ndarray, episode_index: np.ndarray) -> np.ndarray:
    """Spearman's correlation of the reward `mean` (N,) with time inside each episode (E,).

    `episode_index` (N,) holds each episode in one piece, as `Dataset.episode_index`. NaN where the reward
    is constant or the episode has one step. Raises BadInput.
    """
    mean = check_vector("mean", mean, np.size(mean), -np.inf)
    episode_index = check_vector("episode_index", episode_index, len(mean), 0)
    parts = np.split(mean, np.flatnonzero(np.diff(episode_index)) + 1)
    return np.array([_spearman_with_time(part) for part in parts if len(part)])


def _right(difference: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """1 where the signs agree, 0 where not, one half where there is no `difference`."""
    return (1 + np.sign(difference) * np.sign(wanted)) / 2


def _share(right: np.ndarray, counted: np.ndarray | slice = slice(None)) -> float:
    """Mean of what is counted, NaN without any."""
    right = right[counted]
    return float(right.mean()) if len(right) else float("nan")


def _calibration_error(q: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    """Sum over bins of count / M * |mean p - mean q|, for the side that q takes (Guo et al. 2017, eq. 3).

    `q` (M,) is the model's probability, `p` (M,) the soft label in place of the paper's right or wrong.
    """
    confidence, outcome = np.maximum(q, 1 - q), np.where(q >= 0.5, p, 1 - p)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=outcome - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(q))


def _spearman_with_time(values: np.ndarray) -> float:
    """Spearman's rank correlation of `values` (T,) with their position; equal values share a rank."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count + 1) / 2)[inverse]
    time = np.arange(len(values))
    ranks, time = ranks - ranks.mean(), time - time.mean()
    norm = np.sqrt((ranks**2).sum() * (time**2).sum())
    return float((ranks * time).sum() / norm) if norm > 0 else float("nan")
