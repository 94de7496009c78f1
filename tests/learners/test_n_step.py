"""Sums of several rewards, by hand: across an episode's end, a cut, and a termination."""

import dataclasses

import numpy as np
import pytest

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.learners.n_step import n_step


def two_episodes(terminated: bool) -> Transitions:
    """Three steps that end by a timeout or a termination, then two that the data cuts off."""
    states = np.arange(5, dtype=np.float32)[:, None]
    masks = np.float32([1, 1, 0 if terminated else 1, 1, 1])
    ends = np.array([False, False, True, False, False])
    rewards = np.float32([1, 2, 4, 8, 16])
    return Transitions(states, states, rewards, masks, states + 100, ends, np.arange(5))


def test_two_steps():
    # Discount .5. Step 0: 1 + .5 * 2 = 2, then s' of step 1 with weight .5. Step 2 ends: 4, own s', weight 1.
    # Step 3: 8 + .5 * 16 = 16, s' of step 4. Step 4 is cut off by the end of the data: 16, own s'.
    found = n_step(two_episodes(terminated=False), 2, 0.5)
    assert found.rewards.tolist() == [2, 4, 4, 16, 16]
    assert found.masks.tolist() == [0.5, 0.5, 1, 0.5, 1]
    assert found.next_observations[:, 0].tolist() == [101, 102, 102, 104, 104]


def test_nothing_follows_a_termination():
    # Three steps: step 0 sums 1 + .5 * 2 + .25 * 4 = 3; all windows of episode 0 reach its termination.
    found = n_step(two_episodes(terminated=True), 3, 0.5)
    assert found.rewards.tolist() == [3, 4, 4, 16, 16]
    assert found.masks.tolist() == [0, 0, 0, 0.5, 1]


def test_one_step_changes_nothing_and_none_is_refused():
    transitions = two_episodes(terminated=True)
    assert n_step(transitions, 1, 0.5) is transitions
    with pytest.raises(BadInput, match="n_step must be at least 1, not 0"):
        n_step(transitions, 0, 0.5)


def test_the_target_is_that_of_n_rewards_and_a_value():
    # r + g mask V(s') with the masks as they come out is r0 + g r1 + g² V(s2), here 1 + .5 * 2 + .25 * 8.
    transitions = dataclasses.replace(two_episodes(terminated=False))
    found = n_step(transitions, 2, 0.5)
    assert found.rewards[0] + 0.5 * found.masks[0] * 8 == 1 + 0.5 * 2 + 0.25 * 8
