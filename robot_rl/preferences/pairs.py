"""Chooses which frame pairs to ask about."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.preferences.types import Pair


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
