"""How far answers can be trusted: a cheap judge's p mapped to how often a better judge agrees, and what the
better judge's own answers are worth, by whether they stay the same when the pictures change places.

Takes answers that two judges gave to the same pairs; `cascade` decides by what is found here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput, need

LEAST = 10  # answered pairs; fewer say too little for a map of their own
_GROUP = 5  # pairs a step of the map rests on; a lone lucky pair at the end must not make one
_MOST = 0.95  # nobody is trusted further: errors that repeat in both orders show nowhere
_DIGITS = 6  # of p and of the map, so that a pair and its mirror image are exactly alike


@dataclass(frozen=True)
class Calibration:
    """A rising map of p with f(1 - p) = 1 - f(p), linear between knots and flat past the last one."""

    p: tuple[float, ...]  # (K,) knots in [0.5, 1], ascending; the first is 0.5
    value: tuple[float, ...]  # (K,) in [0.5, 1), never falling; the first is 0.5

    def __call__(self, p: np.ndarray) -> np.ndarray:
        """Map p of any shape; 0.5 stays 0.5 and no p changes sides."""
        away = np.round(np.asarray(p, np.float64) - 0.5, _DIGITS)
        lift = np.interp(np.abs(away), np.subtract(self.p, 0.5), np.subtract(self.value, 0.5))
        return 0.5 + np.sign(away) * np.round(lift, _DIGITS)

    @property
    def flat(self) -> bool:
        """Whether every p is mapped to one half."""
        return self.value[-1] == 0.5


def as_it_is(pairs: int) -> Calibration:
    """The map that leaves p alone, but is never surer than that many pairs without a mistake bear out."""
    most = round(max(_MOST, (pairs + 1) / (pairs + 2)), _DIGITS)
    return Calibration((0.5, most, 1.0), (0.5, most, most))


def choose_calibration(p: np.ndarray, target: np.ndarray) -> tuple[Calibration, np.ndarray]:
    """Take the fitted map where it serves pairs that it has not seen, else the one that leaves p alone.

    Compared by mean squared error to the target (Brier 1950): few pairs can spoil a p that was right before.
    Also returns the mapped p (n,), in the first case each by a map that was fitted without it.
    """
    p, target = _vectors(p, target)
    unseen, plain = cross_calibrated(p, target), as_it_is(len(p))
    if len(p) and np.square(unseen - target).mean() < np.square(p - target).mean():
        return fit_calibration(p, target), unseen
    return plain, plain(p)


def fit_calibration(p: np.ndarray, target: np.ndarray) -> Calibration:
    """Fit an isotonic map of `p` (n,) to `target` (n,), another judge's p (0.5: a tie), both in [0, 1].

    Each pair is used with its mirror image, and a step of the map rests on at least five pairs. A step of
    w pairs rises to (w + 1) / (w + 2) at most, the rule of succession for w pairs of w, so that few pairs
    never make it sure; knots are the steps' centres (Oron & Flournoy 2017). With fewer than LEAST pairs that
    have a p other than 0.5 it is the map `as_it_is`. Raises BadInput.
    """
    isotonic = need("scipy.optimize", "vlm").isotonic_regression
    side, right = _folded(p, target)
    if len(side) < LEAST:
        return as_it_is(len(side))
    x, w, v = _groups(side, right)
    # The mirror image of each group goes on the other side of one half.
    found = isotonic(np.concatenate([1 - v[::-1], v]), weights=np.concatenate([w[::-1], w]))
    bounds = found.blocks - len(w)  # of the steps, counted in groups from one half upwards
    bounds = bounds[
        bounds >= 0
    ]  # a step across one half has its centre there, with the knot that is always there
    knots = [(0.0, 0.0), *_centres(x, w, v, list(zip(bounds[:-1], bounds[1:], strict=True)))]
    along, lift = np.round(np.array(knots) + 0.5, _DIGITS).T.tolist()
    return Calibration(tuple(along), tuple(lift))


def _centres(
    x: np.ndarray, w: np.ndarray, v: np.ndarray, steps: Sequence[tuple[int, int]]
) -> list[tuple[float, float]]:
    """Knots of the steps, which are groups from start to end: (distance from one half, height above it)."""
    parts = [slice(start, end) for start, end in steps]
    weight = np.array([w[part].sum() for part in parts])
    mean = np.array([np.average(v[part], weights=w[part]) for part in parts])
    most = (weight + 1) / (weight + 2)
    height = np.maximum.accumulate(np.minimum(mean, most) - 0.5)  # its limit may put a small step too low
    return [(np.average(x[part], weights=w[part]), h) for part, h in zip(parts, height, strict=True)]


def cross_calibrated(p: np.ndarray, target: np.ndarray, folds: int = 5) -> np.ndarray:
    """Map each p (n,) by a calibration fitted without it: every `folds`-th pair is left out in turn."""
    p, target = _vectors(p, target)
    fold, found = np.arange(len(p)) % folds, p.copy()
    for out in (fold == k for k in range(min(folds, len(p)))):
        found[out] = fit_calibration(p[~out], target[~out])(p[out])
    return found


def calibration_error(p: np.ndarray, target: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error of `p` (n,) against `target` (n,) in [0, 1] (Guo et al. 2017, eq. 3).

    Confidence is max(p, 1 - p), in `bins` equal bins of [0, 1]; NaN without pairs. Raises BadInput.
    """
    p, target = _vectors(p, target)
    confidence = np.maximum(p, 1 - p)
    right = np.where(p == 0.5, 0.5, np.where(p > 0.5, target, 1 - target))
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return float(np.abs(np.bincount(index, right - confidence)).sum() / len(p)) if len(p) else math.nan


@dataclass(frozen=True)
class Reliability:
    """What a judge's answer is worth, in log-odds >= 0, by where the picture that it names was shown."""

    first: float  # worth of an answer that names the picture shown first
    second: float
    pairs: int = 0  # asked in both orders and decided in both
    agreement: float | None = None  # share of these where the order changed nothing; None without pairs

    def of(self, p: float, named: str) -> float:
        """Log-odds that the pair's second frame is nearer, by an answer p; named: first, second or both.

        Agreement in both orders counts as one answer: the same judge errs alike on the same two pictures.
        """
        worth = {"first": self.first, "second": self.second, "both": (self.first + self.second) / 2}[named]
        return float(np.clip(_logit(p), -worth, worth))


def fit_reliability(named_first: np.ndarray) -> Reliability:
    """Find what answers are worth from pairs asked in both orders; `named_first` (n, 2) bool, one a call.

    Let a judge name the picture shown first with probability a where that is right and b where it is wrong,
    each call for itself. Then both calls name the first with probability ab and neither does with
    (1 - a)(1 - b), which gives a and b without knowing what is right; the answers' worth is log(a / b) and
    log((1 - b) / (1 - a)). A judge whose answers hang on the order alone has a = b, and is worth nothing.
    """
    named = np.asarray(named_first, bool).reshape(-1, 2)
    firsts, seconds = named.all(1).sum(), (~named).all(1).sum()
    # As if five more pairs had been seen, one of them in conflict: few pairs prove nobody faultless.
    both_first, both_second = (firsts + 0.5) / (len(named) + 5), (seconds + 0.5) / (len(named) + 5)
    middle = (1 + both_first - both_second) / 2  # (a + b) / 2
    half = math.sqrt(max(middle**2 - both_first, 0.0))  # (a - b) / 2
    a, b = middle + half, middle - half
    most = _logit(_MOST)
    first, second = min(math.log(a / b), most), min(math.log((1 - b) / (1 - a)), most)
    agreement = float(1 - (firsts + seconds) / len(named)) if len(named) else None
    return Reliability(round(first, _DIGITS), round(second, _DIGITS), len(named), agreement)


def combined(p: float, log_odds: float) -> float:
    """Add evidence in log-odds to a probability that is not 0 or 1."""
    return round(1 / (1 + math.exp(-_logit(p) - log_odds)), _DIGITS)


def _logit(p: float) -> float:
    p = min(max(p, 1e-12), 1 - 1e-12)
    return math.log(p / (1 - p))


def _folded(p: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of p from one half (m,) > 0 and the target of the side it is on (m,); p = 0.5 has no side."""
    p, target = _vectors(p, target)
    away = np.round(p - 0.5, _DIGITS)
    right = np.where(away > 0, target, 1 - target)
    return np.abs(away)[away != 0], right[away != 0]


def _groups(side: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pool neighbours into groups of at least _GROUP pairs: mean side, pairs and mean of right, (G,) each."""
    values, place, count = np.unique(side, return_inverse=True, return_counts=True)
    sums = np.stack([values * count, count, np.bincount(place, right)], 1)  # equal p must share a group
    groups = [sums[0]]
    for row in sums[1:]:
        if groups[-1][1] < _GROUP:
            groups[-1] = groups[-1] + row
        else:
            groups.append(row)
    if groups[-1][1] < _GROUP and len(groups) > 1:
        rest = groups.pop()
        groups[-1] = groups[-1] + rest
    x, w, v = np.array(groups).T
    return x / w, w, v / w


def _vectors(p: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as (n,) float64; raises BadInput unless they are probabilities of equal number."""
    p, target = np.asarray(p, np.float64), np.asarray(target, np.float64)
    if p.ndim != 1 or p.shape != target.shape:
        raise BadInput(f"calibration: p and target must be (n,) alike, not {p.shape} and {target.shape}")
    for name, values in (("p", p), ("target", target)):
        if not ((values >= 0) & (values <= 1)).all():  # also finds NaN
            raise BadInput(f"calibration: {name} must be in [0, 1]; leave out pairs without an answer")
    return p, target
