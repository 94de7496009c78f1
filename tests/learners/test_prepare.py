"""What transitions become before learning, on numbers worked by hand."""

import dataclasses

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.learners.prepare import ACTION_BOUND, prepare
from tests.learners.helpers import describe, random_transitions


def changed(**arrays):
    return dataclasses.replace(random_transitions(4), **arrays)


def test_states_and_rewards_are_standardised():
    # Rewards 1, 3, 1, 3: mean 2, std 1. States 0, 2, 0, 2 in the first part: mean 1, std 1 + .001.
    states = np.float32([[0, 5, 5], [2, 5, 5], [0, 5, 5], [2, 5, 5]])
    prepared = prepare(changed(rewards=np.float32([1, 3, 1, 3]), observations=states), describe())
    assert prepared.transitions.rewards.tolist() == [-1, 1, -1, 1]
    assert (prepared.reward_mean, prepared.reward_std) == (2, 1)
    np.testing.assert_allclose(prepared.state_mean, [1, 5, 5])
    np.testing.assert_allclose(prepared.state_std, [1.001, 0.001, 0.001], rtol=1e-6)
    np.testing.assert_allclose(prepared.transitions.observations[0], [-1 / 1.001, 0, 0], rtol=1e-6)


def test_a_constant_reward_becomes_exact_zeros():
    prepared = prepare(changed(rewards=np.full(4, 0.1, np.float32)), describe())
    assert not prepared.transitions.rewards.any() and prepared.reward_mean == pytest.approx(0.1)


def test_actions_are_brought_to_the_limits_and_what_lies_beyond_is_counted():
    # Limits 0 to 4 and -1 to 1: 1 becomes -.5, and 5 and -2 lie beyond.
    actions = np.float32([[1, 0.5], [5, 0], [0, -2], [4, 1]])
    prepared = prepare(changed(actions=actions), describe(action_low=[0, -1], action_high=[4, 1]))
    one = ACTION_BOUND
    np.testing.assert_allclose(
        prepared.transitions.actions, [[-0.5, 0.5], [one, 0], [-one, -one], [one, one]], rtol=1e-6
    )
    assert prepared.clipped_actions == 2


@pytest.mark.parametrize("name", ["observations", "actions", "rewards", "masks", "next_observations"])
def test_what_is_not_finite_is_named_with_its_step(name):
    values = getattr(random_transitions(4), name).copy()
    values[2] = np.nan
    with pytest.raises(BadInput, match=rf"^{name}: step 2 \(frame 2 of the dataset\)"):
        prepare(changed(**{name: values}), describe())


def test_sizes_must_fit_the_description():
    with pytest.raises(BadInput, match="actions have 2 numbers a step, but the description names 3"):
        prepare(random_transitions(4), describe(action=3))
