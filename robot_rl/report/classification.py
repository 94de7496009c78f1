"""How good a yes-or-no classifier is on frames of episodes: error rates, AUC, calibration, with intervals.

Frames of one episode are alike, so that an interval from counting frames alone would be too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.statistics import Interval, wilson

_RESAMPLES = 400
_BINS = 10


@dataclass(frozen=True)
class Rates:
    """What a classifier reaches; a share of nothing is NaN. Intervals are of 95 %."""

    positives: int  # frames
    negatives: int
    episodes: int
    false_negatives: Interval  # share of the frames with success that are missed
    false_positives: Interval  # share of the frames without success that are called success
    precision: Interval  # share of what is called success that is
    recall: Interval
    accuracy: Interval
    auc: Interval  # chance that a frame with success is ranked above one without
    calibration_error: Interval  # expected, 10 bins of the stated probability

    def rows(self) -> list[tuple[str, float, float, float]]:
        """(name, value, low, high) of each measure."""
        names = ("false_negatives", "false_positives", "precision", "recall", "accuracy", "auc")
        found = [(name, getattr(self, name)) for name in (*names, "calibration_error")]
        return [(name.replace("_", " "), i.mean, i.low, i.high) for name, i in found]


def rates(
    probability: np.ndarray, truth: np.ndarray, threshold: float, episodes: np.ndarray, seed: int = 0
) -> Rates:
    """Measure P(success) (N,) against truth (N,) bool; success is called from `threshold` on.

    Intervals come from resampling the episodes (N,). Those of shares are never narrower than Wilson's of as
    many independent frames: where no error was seen, resampling alone would say that there is none.
    """
    probability, truth = np.asarray(probability, np.float64), np.asarray(truth, bool)
    if not len(truth):
        raise BadInput("rates: there are no frames to measure on")
    said = probability >= threshold
    names, group = np.unique(episodes, return_inverse=True)
    weights = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=_RESAMPLES
    )  # (R, E): how often an episode is drawn

    def share(part: np.ndarray, whole: np.ndarray) -> Interval:
        return _share(*(np.bincount(group, mask, len(names)) for mask in (part & whole, whole)), weights)

    place = np.unique(probability, return_inverse=True)[1]
    areas = [_auc(place, truth, w[group]) for w in weights]
    errors = [_calibration_error(probability, truth, w[group]) for w in weights]
    ones = np.ones(len(truth))
    return Rates(
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        episodes=len(names),
        false_negatives=share(~said, truth),
        false_positives=share(said, ~truth),
        precision=share(truth, said),
        recall=share(said, truth),
        accuracy=share(said == truth, np.ones(len(truth), bool)),
        auc=_interval(_auc(place, truth, ones), areas),
        calibration_error=_interval(_calibration_error(probability, truth, ones), errors),
    )


def _share(part: np.ndarray, whole: np.ndarray, weights: np.ndarray) -> Interval:
    """Sum of `part` over sum of `whole`, each (E,) counts by episode, with its interval."""
    if not whole.sum():
        return Interval(float("nan"), float("nan"), float("nan"))
    frames = wilson(int(part.sum()), int(whole.sum()))
    total = weights @ whole
    found = (weights @ part)[total > 0] / total[total > 0]
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(frames.mean, min(float(low), frames.low), max(float(high), frames.high))


def _interval(value: float, resampled: list[float]) -> Interval:
    known = np.array(resampled)[np.isfinite(resampled)]
    if not len(known) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value, min(float(low), value), max(float(high), value))


def _auc(place: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    """Area under the ROC curve of weighted frames by rank (N,) of probability; equal ones count one half."""
    ones, zeros = np.bincount(place, weight * truth), np.bincount(place, weight * ~truth)
    pairs = ones.sum() * zeros.sum()
    below = np.cumsum(zeros) - zeros / 2  # of the zeros, those ranked lower, and half of the equal ones
    return float((ones * below).sum() / pairs) if pairs else float("nan")


def _calibration_error(probability: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    """Sum over bins of |share that is success - mean probability|, weighted (Guo et al. 2017, eq. 3)."""
    index = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    gap = np.bincount(index, weight * truth, _BINS) - np.bincount(index, weight * probability, _BINS)
    return float(np.abs(gap).sum() / weight.sum())


@dataclass(frozen=True)
class Switches:
    """What the rule of several frames in a row makes of whole episodes."""

    reached: int  # episodes that show success for long enough
    missed: int  # of these, never noticed
    others: int  # episodes that never show success
    false: int  # of these, success was said
    early: int  # of the reached ones, said before the first frame with success
    delay: float  # steps from when the rule could have spoken to when it did, median; NaN without any


def switches(said: np.ndarray, truth: np.ndarray, episodes: np.ndarray, hold: int) -> Switches:
    """Follow `said` and `truth` (N,) bool through each of the `episodes` (N,), `hold` frames in a row."""
    counts, delays = dict.fromkeys(("reached", "missed", "others", "false", "early"), 0), []
    for rows in np.split(np.arange(len(said)), np.flatnonzero(np.diff(episodes)) + 1):
        spoke, could = _first(said[rows], hold), _first(truth[rows], hold)
        if could is not None:
            counts["reached"] += 1
            counts["missed"] += spoke is None
            counts["early"] += spoke is not None and spoke < int(np.argmax(truth[rows]))
            if spoke is not None:
                delays.append(spoke - could)
        elif not truth[rows].any():
            counts["others"] += 1
            counts["false"] += spoke is not None
    return Switches(**counts, delay=float(np.median(delays)) if delays else float("nan"))


def _first(values: np.ndarray, hold: int) -> int | None:
    """The first place that ends `hold` true ones in a row."""
    run = 0
    for place, value in enumerate(values):
        run = run + 1 if value else 0
        if run == hold:
            return place
    return None
