"""Which pairs are asked about: how many, of what, and the same for a seed."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.pairs import random_pairs, stratified_pairs

CANDIDATES = np.arange(100, 300, 2)
SCORE = np.random.default_rng(0).permutation(len(CANDIDATES)).astype(float)


def stratified(candidates, count, seed):
    return stratified_pairs(candidates, SCORE[: len(candidates)], count, seed)


@pytest.mark.parametrize("draw", [random_pairs, stratified])
def test_pairs_are_of_two_candidates(draw):
    for count in (0, 1, 7, 500):
        pairs = draw(CANDIDATES, count, 3)
        assert len(pairs) == count
        assert all(pair.first != pair.second for pair in pairs)
        assert {frame for p in pairs for frame in (p.first, p.second)} <= set(CANDIDATES.tolist())
    assert draw(CANDIDATES, 50, 3) == draw(CANDIDATES, 50, 3) != draw(CANDIDATES, 50, 4)
    few = draw(CANDIDATES[:2], 30, 0)
    assert {(pair.first, pair.second) for pair in few} == {(100, 102), (102, 100)}


def test_uniform_pairs_use_every_frame_alike():
    pairs = np.array([(p.first, p.second) for p in random_pairs(CANDIDATES, 20_000, 0)])
    counts = np.unique(pairs, return_counts=True)[1]
    assert len(counts) == 100 and counts.min() > 300 and counts.max() < 500  # 400 expected, std 20
    assert abs((pairs[:, 0] < pairs[:, 1]).mean() - 0.5) < 0.02


def test_a_share_of_pairs_holds_a_frame_of_the_top():
    pairs = np.array([(p.first, p.second) for p in stratified_pairs(CANDIDATES, SCORE, 9000, 0)])
    top = np.isin(pairs, CANDIDATES[np.quantile(SCORE, 0.85) <= SCORE])
    # A third for sure; of the other two thirds 1 - 0.85^2 by chance.
    assert abs(top.any(1).mean() - (1 / 3 + 2 / 3 * (1 - 0.85**2))) < 0.02
    assert abs(top[:, 0].mean() - top[:, 1].mean()) < 0.02  # which comes first is a coin's toss
    # The order of the pairs says nothing either.
    assert abs(top[:4500].any(1).mean() - top[4500:].any(1).mean()) < 0.04


def test_everything_may_be_of_the_top():
    assert len(stratified_pairs(CANDIDATES, np.zeros(100), 60, 0)) == 60


@pytest.mark.parametrize("candidates", [[], [5], [5, 5]])
def test_two_frames_are_needed(candidates):
    candidates = np.array(candidates, np.int64)
    with pytest.raises(BadInput, match="at least 2 different frames"):
        random_pairs(candidates, 3, 0)
    with pytest.raises(BadInput, match="at least 2 different frames"):
        stratified_pairs(candidates, np.zeros(len(candidates)), 3, 0)


def test_each_frame_needs_its_score():
    with pytest.raises(BadInput, match="99 scores for 100 frames"):
        stratified_pairs(CANDIDATES, SCORE[:-1], 3, 0)
