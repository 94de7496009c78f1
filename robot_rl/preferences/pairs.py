"""Chooses which frame pairs to ask about."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import BadInput, need
from robot_rl.preferences.types import FrameSource, Pair

_SIDE = 16  # blocks a side of a thumbnail
_AT_ONCE = 128  # frames: bounds memory


def random_pairs(candidates: np.ndarray, count: int, seed: int) -> list[Pair]:
    """Draw `count` pairs of different frames from the frame indices `candidates`, uniformly."""
    return _pairs(candidates, candidates, count, np.random.default_rng(seed))


def stratified_pairs(
    candidates: np.ndarray, score: np.ndarray, count: int, seed: int, share: float = 1 / 3, top: float = 0.15
) -> list[Pair]:
    """Like `random_pairs`, but in a `share` of pairs one frame is of the `top` part by the judge's own score.

    Poor data shows little of what is near the goal; uniform pairs would hardly ask about it. `score` is (n,)
    beside `candidates`. Which frame comes first is a coin's toss.
    """
    if len(score) != len(candidates):
        raise BadInput(f"pairs: {len(score)} scores for {len(candidates)} frames; there must be one for each")
    _check(candidates)
    rng = np.random.default_rng(seed)
    best = candidates[score >= np.quantile(score, 1 - top)]
    special = round(count * share)
    pairs = _pairs(best, candidates, special, rng) + _pairs(candidates, candidates, count - special, rng)
    return [pairs[i] for i in rng.permutation(len(pairs))]


def _check(candidates: np.ndarray) -> None:
    if len(np.unique(candidates)) < 2:
        raise BadInput("pairs: at least 2 different frames are needed")


def _pairs(first: np.ndarray, second: np.ndarray, count: int, rng: np.random.Generator) -> list[Pair]:
    _check(second)
    found: list[Pair] = []
    while len(found) < count:
        a, b = rng.choice(first, count), rng.choice(second, count)
        turn = rng.random(count) < 0.5
        a, b = np.where(turn, b, a), np.where(turn, a, b)
        found += [Pair(int(x), int(y)) for x, y in zip(a, b, strict=True) if x != y]
    return found[:count]


def thumbnails(frames: FrameSource, indices: np.ndarray) -> np.ndarray:
    """Shrink the pictures of frames (n,) to 16x16 grey blocks: (n, 256) float32.

    Their Euclidean distance is the root mean square difference of two pictures' blocks in grey levels, 0 to
    255: coding noise averages out over a block, a gripper that moved does not.
    """
    cv2 = need("cv2", "vlm")
    found = np.empty((len(indices), _SIDE * _SIDE), np.float32)
    for start in range(0, len(indices), _AT_ONCE):
        for row, picture in enumerate(frames(indices[start : start + _AT_ONCE]), start):
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
            found[row] = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).reshape(-1)
    return found / _SIDE
