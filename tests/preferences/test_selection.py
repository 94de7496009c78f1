"""Which pairs are worth asking about: nothing twice, everything covered, where members disagree."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.selection import (
    coverage_pairs,
    disagreement_pairs,
    farthest_first,
    without_near_duplicates,
)

RNG = np.random.default_rng(0)


def line(*places):
    return np.array(places, np.float32)[:, None]


def distances(features):
    return np.linalg.norm(features[:, None] - features[None], axis=2)


def test_slow_motion_keeps_a_frame_each_threshold():
    kept = without_near_duplicates(line(*range(11)), np.arange(11), np.zeros(11), 2.5)
    assert kept.tolist() == [0, 3, 6, 9]
    # The same frames, listed from last to first: time decides, not the place in the list.
    kept = without_near_duplicates(line(*range(10, -1, -1)), np.arange(11)[::-1], np.zeros(11), 2.5)
    assert kept.tolist() == [1, 4, 7, 10]


def test_frames_of_other_episodes_are_found_too():
    features = line(0, 5, 5.1, 9, 0.05, 9.02, 20)
    kept = without_near_duplicates(features, np.arange(7), np.array([0, 0, 0, 0, 1, 1, 1]), 0.5)
    assert kept.tolist() == [0, 1, 3, 6]


def test_equal_frames_go_at_threshold_zero():
    features = RNG.normal(size=(40, 16)).astype(np.float32)
    kept = without_near_duplicates(
        np.repeat(features, 3, 0), np.arange(120), np.repeat(np.arange(40), 3), 0.0
    )
    assert len(kept) == 40 and sorted(set(kept // 3)) == list(range(40))


@pytest.mark.parametrize("threshold", [0.3, 0.8, 1.2])
def test_what_stays_is_far_apart_and_near_all_that_goes(threshold):
    centres = RNG.normal(size=(60, 8))
    features = (centres[RNG.integers(60, size=1500)] + RNG.normal(0, 0.1, (1500, 8))).astype(np.float32)
    features += 100  # far from 0, where float32 is coarse
    episode = np.arange(1500) // 50
    kept = without_near_duplicates(features, np.arange(1500), episode, threshold)
    apart = distances(features[kept])[np.triu_indices(len(kept), 1)]
    assert apart.min() > threshold
    assert (
        np.linalg.norm(features[:, None] - features[kept][None], axis=2).min(1).max() <= 2 * threshold + 1e-4
    )
    assert 1 < len(kept) < 1500 and (np.diff(kept) > 0).all()
    assert without_near_duplicates(features, np.arange(1500), episode, threshold).tolist() == kept.tolist()


def test_nothing_and_one_frame():
    assert without_near_duplicates(np.empty((0, 3)), np.empty(0), np.empty(0), 1.0).tolist() == []
    assert without_near_duplicates(np.ones((1, 3)), [0], [0], 1.0).tolist() == [0]


@pytest.mark.parametrize("change, told", [
    ({"features": np.zeros(5)}, "features must be .n, D."),
    ({"features": np.full((5, 1), np.nan)}, "not finite, first in row 0"),
    ({"frames": np.arange(4)}, "frames must be .5,."),
    ({"episode": np.zeros(6)}, "episode must be .5,."),
    ({"threshold": -1.0}, "threshold must be a distance >= 0"),
    ({"threshold": np.nan}, "threshold must be a distance >= 0"),
])  # fmt: skip
def test_bad_input_of_near_duplicates(change, told):
    good = {"features": line(1, 2, 3, 4, 5), "frames": np.arange(5), "episode": np.zeros(5), "threshold": 1.0}
    with pytest.raises(BadInput, match=told):
        without_near_duplicates(**{**good, **change})


def test_the_farthest_comes_next():
    rng = np.random.default_rng(0)
    chosen = farthest_first(line(0, 1, 2, 10, 11, 5), 6, rng)
    first = np.random.default_rng(0).integers(6)
    assert chosen[0] == first == 5  # at 5: the end at 11 is farthest, then 0, then 2, and of equals the first
    assert chosen.tolist() == [5, 4, 0, 2, 1, 3]
    equal = farthest_first(np.zeros((4, 2), np.float32), 4, rng)
    assert sorted(equal.tolist()) == [0, 1, 2, 3]


def test_coverage_reaches_rare_frames_that_chance_would_miss():
    features = np.concatenate([RNG.normal(0, 0.01, (2000, 4)), RNG.normal(5, 0.01, (3, 4))]).astype(
        np.float32
    )
    frames = np.arange(2003) * 7
    pairs = coverage_pairs(frames, features, 20, 1)
    used = {frame for pair in pairs for frame in (pair.first, pair.second)}
    assert used & set(frames[2000:].tolist()) and len(used) == 20
    assert used <= set(frames.tolist())


def test_coverage_asks_about_all_equally_and_about_no_pair_twice():
    features = RNG.normal(size=(30, 3)).astype(np.float32)
    pairs = coverage_pairs(np.arange(30), features, 300, 0)
    assert len(pairs) == len({frozenset((p.first, p.second)) for p in pairs}) == 300
    counts = np.bincount([frame for p in pairs for frame in (p.first, p.second)])
    assert counts.min() >= 14 and counts.max() <= 26  # 20 each, up to the pairs left out as known
    first = np.mean([p.first < p.second for p in pairs])
    assert 0.35 < first < 0.65
    assert (
        pairs
        == coverage_pairs(np.arange(30), features, 300, 0)
        != coverage_pairs(np.arange(30), features, 300, 1)
    )
    every = coverage_pairs(np.arange(4), features[:4], 6, 0)
    assert len({frozenset((p.first, p.second)) for p in every}) == 6
    assert len(coverage_pairs(np.arange(2), features[:2], 5, 0)) == 5  # only one pair there is, five times
    assert coverage_pairs(np.arange(4), features[:4], 0, 0) == []


def test_coverage_needs_features_of_two_frames():
    with pytest.raises(BadInput, match="2 features for 3 frames"):
        coverage_pairs(np.arange(3), np.zeros((2, 4)), 5, 0)
    with pytest.raises(BadInput, match="at least 2 different frames"):
        coverage_pairs(np.array([4, 4]), np.zeros((2, 4)), 5, 0)


def members(pairs):
    """Three members that disagree more the farther apart two frame indices are."""
    gap = (pairs[:, 1] - pairs[:, 0]) / 200
    return 0.5 + np.outer([-1, 0, 1], gap) / 2


def test_the_most_disputed_pairs_are_taken():
    candidates = np.arange(200)
    pairs = disagreement_pairs(candidates, 50, 0, members)
    gaps = np.array([abs(p.second - p.first) for p in pairs])
    assert len(pairs) == 50 and gaps.mean() > 130  # 67 for random pairs
    assert gaps[0] == gaps.max()
    counts = np.bincount([frame for p in pairs for frame in (p.first, p.second)])
    assert counts.max() <= 3
    assert 0.25 < np.mean([p.first < p.second for p in pairs]) < 0.75
    assert pairs == disagreement_pairs(candidates, 50, 0, members)


def test_no_pair_twice_while_there_are_others_and_enough_of_few():
    pairs = disagreement_pairs(np.arange(10), 40, 0, members)
    assert len({frozenset((p.first, p.second)) for p in pairs}) == len(pairs) == 40
    assert len(disagreement_pairs(np.arange(3), 12, 0, members)) == 12
    assert disagreement_pairs(np.arange(3), 0, 0, members) == []


@pytest.mark.parametrize("probability, told", [
    (lambda pairs: np.full(len(pairs), 0.5), "must give .members >= 2"),
    (lambda pairs: np.full((1, len(pairs)), 0.5), "must give .members >= 2"),
    (lambda pairs: np.full((3, 2), 0.5), "must give .members >= 2"),
    (lambda pairs: np.full((3, len(pairs)), np.nan), "not finite"),
])  # fmt: skip
def test_probabilities_of_the_wrong_kind(probability, told):
    with pytest.raises(BadInput, match=told):
        disagreement_pairs(np.arange(50), 10, 0, probability)
