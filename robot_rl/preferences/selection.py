"""Chooses pairs that are worth asking about: no frames twice, all of the data covered, where a model wavers.

Takes frame indices and what is known of them, beside `pairs`, which draws without looking.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.preferences.pairs import random_pairs
from robot_rl.preferences.types import Pair

_BLOCK = 512  # frames compared at once
_KEPT = 8192  # kept frames that a block is compared with at once
_SAMPLE = 2048  # frames that the direction of largest spread is taken from
_CENTRES = 1000  # most frames that coverage chooses: 30,000 frames of 128 numbers then take seconds
_POOL = 20  # random pairs looked at for each one that is kept


def without_near_duplicates(
    features: np.ndarray, frames: np.ndarray, episode: np.ndarray, threshold: float
) -> np.ndarray:
    """Return the rows (k,) int64, ascending, of frames that all lie farther than `threshold` apart.

    `features` (n, D) are compared by Euclidean distance, sqrt(2 - 2 cos) for unit vectors; `frames` (n,)
    order the rows of an `episode` (n,) in time. First every frame goes that is near the last kept one of its
    episode, as most are; then, over all episodes, every one that is near a kept one. So a frame that is left
    out is within twice the threshold of one that stays. Deterministic. Raises BadInput.
    """
    features, frames, episode = _features(features), np.asarray(frames), np.asarray(episode)
    for name, values in (("frames", frames), ("episode", episode)):
        if values.shape != (len(features),):
            raise BadInput(f"selection: {name} must be ({len(features)},) like features, not {values.shape}")
    if not threshold >= 0:  # also refuses NaN
        raise BadInput(f"selection: threshold must be a distance >= 0, not {threshold}")
    if not len(features):
        return np.empty(0, np.int64)
    rows = _changes_in_time(features, np.lexsort((frames, episode)), episode, threshold)
    return np.sort(_net(features, rows, threshold))


def coverage_pairs(candidates: np.ndarray, features: np.ndarray, count: int, seed: int) -> list[Pair]:
    """Choose frames so that every candidate is near a chosen one, and `count` pairs among them.

    `features` (n, D) belong to the frame indices `candidates` (n,). Each choice is the frame farthest from
    all before it (k-centre, Gonzalez 1985), so rare frames and outliers are among them; there are as many as
    pairs, but 1,000 at most. All are asked about nearly equally often; a pair comes again only when there is
    no new one. Raises BadInput.
    """
    candidates, features = np.asarray(candidates), _features(features)
    if len(features) != len(candidates):
        raise BadInput(f"selection: {len(features)} features for {len(candidates)} frames; give one for each")
    if len(np.unique(candidates)) < 2:
        raise BadInput("pairs: at least 2 different frames are needed")
    candidates, first = np.unique(candidates, return_index=True)
    rng = np.random.default_rng(seed)
    size = min(len(candidates), max(count, 2), _CENTRES)
    return _rings(candidates[farthest_first(features[first], size, rng)], count, rng)


def farthest_first(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` rows (count,) int64 of features (n, D), each the farthest from those before it.

    The first is drawn. O(n count D) time, O(n) memory beside the features.
    """
    square = np.einsum("nd,nd->n", features, features)
    chosen = np.empty(count, np.int64)
    distance = np.full(len(features), np.inf, np.float32)  # squared, to the nearest chosen row
    chosen[0] = rng.integers(len(features))
    for k in range(1, count):
        last = chosen[k - 1]
        np.minimum(distance, square + square[last] - 2 * (features @ features[last]), out=distance)
        distance[last] = -np.inf  # of equal frames each is chosen once
        chosen[k] = distance.argmax()
    return chosen


def disagreement_pairs(
    candidates: np.ndarray,
    count: int,
    seed: int,
    probability: Callable[[np.ndarray], np.ndarray],
    most: int = 3,
) -> list[Pair]:
    """Choose the `count` pairs that an ensemble disagrees about most, out of 20 times as many random ones.

    `probability` takes pairs (m, 2) int64 and returns each of K members' probability (K, m) that the second
    frame is nearer the goal; disagreement is the standard deviation over members. No frame is in more than
    `most` pairs, unless there are too few frames. The most disputed pair comes first. Raises BadInput.
    """
    pool = random_pairs(candidates, _POOL * count, seed)
    # A pair that is drawn again, either way round, is the same pair.
    pairs = np.array(
        [(p.first, p.second) for p in {frozenset((p.first, p.second)): p for p in pool}.values()]
    )
    if not count:
        return []
    order = np.argsort(-_spread(pairs, probability), kind="stable")
    while len(order) < count:
        order = np.concatenate([order, order])  # hardly any frames: the same pairs again
    return [Pair(*pairs[index].tolist()) for index in _diverse(pairs, order, count, most)]


def _spread(pairs: np.ndarray, probability: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Standard deviation (m,) of the members' probabilities; raises BadInput for what is none."""
    found = np.asarray(probability(pairs), np.float64)
    if found.ndim != 2 or found.shape[1] != len(pairs) or len(found) < 2:
        raise BadInput(f"selection: probability must give (members >= 2, {len(pairs)}), not {found.shape}")
    if not np.isfinite(found).all():
        raise BadInput("selection: probability gave a value that is not finite; is the model fitted?")
    return found.std(0)


def _diverse(pairs: np.ndarray, order: np.ndarray, count: int, most: int) -> list[int]:
    """Take rows of `pairs` in `order`, no frame more often than `most` unless there are too few."""
    uses: dict[int, int] = {}
    taken: list[int] = []
    left = order.tolist()
    while len(taken) < count:
        passed = []
        for index in left:
            a, b = pairs[index].tolist()
            if len(taken) < count and max(uses.get(a, 0), uses.get(b, 0)) < most:
                uses[a], uses[b] = uses.get(a, 0) + 1, uses.get(b, 0) + 1
                taken.append(index)
            else:
                passed.append(index)
        left, most = passed, most + 1
    return taken


def _rings(frames: np.ndarray, count: int, rng: np.random.Generator) -> list[Pair]:
    """Draw `count` pairs: neighbours on rings of all frames, shuffled anew each time."""
    possible, seen, found = len(frames) * (len(frames) - 1) // 2, set(), []
    while len(found) < count:
        if len(seen) == possible:
            seen.clear()
        ring = rng.permutation(frames)
        turn = rng.random(len(ring)) < 0.5
        for a, b, turned in zip(ring.tolist(), np.roll(ring, -1).tolist(), turn, strict=True):
            pair = frozenset((a, b))
            if pair not in seen:
                seen.add(pair)
                found.append(Pair(b, a) if turned else Pair(a, b))
    return found[:count]


def _changes_in_time(
    features: np.ndarray, order: np.ndarray, episode: np.ndarray, threshold: float
) -> np.ndarray:
    """Of rows in `order` keep each that is farther than `threshold` from the last kept one of its episode."""
    kept = [order[0]]
    for row in order[1:]:
        last = kept[-1]
        if episode[row] != episode[last]:
            kept.append(row)
            continue
        step = features[row] - features[last]
        if step @ step > threshold * threshold:
            kept.append(row)
    return np.array(kept)


def _net(features: np.ndarray, rows: np.ndarray, threshold: float) -> np.ndarray:
    """Of `rows` keep each that is farther than `threshold` from every one kept before.

    Taken in order along one direction, that of the largest spread: a frame can only be near those whose place
    along it is within `threshold`, so each block is compared with the last of the kept ones alone. Where that
    spares nothing it still is matrix products of n x k x D in all.
    """
    place = features[rows] @ _widest(features[rows])
    order = np.argsort(place, kind="stable")
    rows, place = rows[order], place[order]
    reach = threshold + 1e-4 * max(float(np.abs(place).max()), 1e-12)  # and the rounding of the places
    kept, points, size = (
        np.empty(len(rows), np.int64),
        np.empty((len(rows), features.shape[1]), np.float32),
        0,
    )
    for start in range(0, len(rows), _BLOCK):
        block = features[rows[start : start + _BLOCK]]
        begin = int(np.searchsorted(place[kept[:size]], place[start] - reach))
        near = np.zeros(len(block), bool)
        for some in range(begin, size, _KEPT):
            near |= _near(block, points[some : min(some + _KEPT, size)], threshold).any(1)
        alike = _near(block, block, threshold)
        for i in np.flatnonzero(~near):
            if not near[i]:
                near[i + 1 :] |= alike[i, i + 1 :]
        new = np.flatnonzero(~near)
        kept[size : size + len(new)], points[size : size + len(new)] = start + new, block[new]
        size += len(new)
    return rows[kept[:size]]


def _near(a: np.ndarray, b: np.ndarray, threshold: float) -> np.ndarray:
    """Whether rows of a (m, D) lie within `threshold` of rows of b (k, D), (m, k) bool."""
    squares = np.einsum("nd,nd->n", a, a)[:, None] + np.einsum("nd,nd->n", b, b)
    rounding = 1e-6 * squares  # float32: two equal frames must count as near at threshold 0
    return squares - 2 * a @ b.T <= threshold * threshold + rounding


def _widest(features: np.ndarray) -> np.ndarray:
    """A unit vector (D,) along which the features spread most, from evenly spaced rows."""
    some = features[:: max(1, len(features) // _SAMPLE)].astype(np.float64)
    some -= some.mean(0)
    return np.linalg.eigh(some.T @ some)[1][:, -1].astype(np.float32)


def _features(features: np.ndarray) -> np.ndarray:
    """As (n, D) float32 with their mean at 0, where float32 resolves distances best; raises BadInput."""
    features = np.asarray(features)
    if features.ndim != 2:
        raise BadInput(f"selection: features must be (n, D), not {features.shape}")
    if not np.isfinite(features).all():
        row = int(np.argmin(np.isfinite(features).all(1)))
        raise BadInput(f"selection: features hold a value that is not finite, first in row {row}")
    return (features - features.mean(0, dtype=np.float64)).astype(np.float32) if len(features) else features
