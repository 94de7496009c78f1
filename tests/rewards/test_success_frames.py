"""Which frames are labeled, held out and made harder, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.rewards import success_frames as frames

STARTS = np.array([0, 5])
SUCCESS = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 1], bool)  # after the action of each step


def test_a_frame_shows_what_the_action_before_it_did():
    truth, known = frames.shown(SUCCESS, STARTS)
    assert truth.astype(int).tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert known.astype(int).tolist() == [0, 1, 1, 1, 1, 0, 1, 1, 1, 1]


def test_near_misses_come_before_success_of_their_own_episode():
    truth = np.array([0, 0, 0, 1, 0, 0, 1, 0, 0, 0], bool)
    assert np.flatnonzero(frames.near_misses(truth, STARTS, 2)).tolist() == [1, 2, 5]
    assert not frames.near_misses(truth, STARTS, 0).any()


def test_half_of_what_is_labeled_shows_success_and_a_quarter_nearly():
    truth = np.arange(400) % 4 == 0
    near = np.arange(400) % 4 == 3
    drawn = frames.draw(truth, near, np.arange(400), 40, seed=0)
    assert len(set(drawn)) == 40 and truth[drawn].sum() == 20 and (near & ~truth)[drawn].sum() == 10
    few = truth & (np.arange(400) < 8)  # two frames of success alone: plain ones take their place
    drawn = frames.draw(few, near, np.arange(400), 40, seed=0)
    assert len(set(drawn)) == 40 and few[drawn].sum() == 2 and near[drawn].sum() == 10
    assert len(frames.draw(truth, near, np.arange(7), 40, seed=0)) == 7


def test_every_share_has_episodes_with_success_and_none_twice():
    reached = np.arange(20) % 2 == 0
    use = frames.split_episodes(reached, (0.5, 0.25, 0.25), seed=3)
    assert [np.sum(use[reached] == k) for k in range(3)] == [5, 3, 2]  # cuts at 5 and 7.5, which rounds to 8
    few = frames.split_episodes(np.arange(20) < 3, (0.8, 0.1, 0.1), seed=3)
    assert sorted(few[:3].tolist()) == [0, 1, 2]
    with pytest.raises(BadInput, match="success is seen in 2 episodes; at least 3 are needed"):
        frames.split_episodes(np.arange(20) < 2, (0.5, 0.25, 0.25), seed=3)


def test_strips_end_now_and_stay_in_their_episode():
    found = frames.moments(np.array([0, 4, 5, 8]), STARTS, strip=3, stride=2)
    assert found.tolist() == [[0, 0, 0], [0, 2, 4], [5, 5, 5], [5, 6, 8]]
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    assert frames.strips(vectors, np.array([8]), STARTS, 3, 2).tolist() == [[10, 11, 12, 13, 16, 17]]


def test_patches_hide_success_and_only_a_part_of_the_rest():
    pictures = np.full((40, 20, 20, 3), 7, np.uint8)
    truth = np.arange(40) < 20
    covered = (frames.covered(pictures, truth, seed=0) != 7).any(-1).mean((1, 2))
    assert (covered[:20] > 0.45).all() and (covered[:20] < 0.85).all()
    assert (covered[20:] > 0.05).all() and (covered[20:] < 0.35).all()
    assert (pictures == 7).all()  # the pictures themselves stay


def test_a_corrupted_strip_ends_in_failure():
    success, failure = np.ones((4, 6), np.float32), np.zeros((3, 6), np.float32)
    made = frames.corrupted(success, failure, strip=3, seed=0)
    assert made.tolist() == [[1, 1, 1, 1, 0, 0]] * 4
    assert len(frames.corrupted(success, failure, strip=1, seed=0)) == 0
