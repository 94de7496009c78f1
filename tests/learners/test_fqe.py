"""Fitted Q evaluation against the value that rolling out a known problem gives, and what it says of data."""

import dataclasses

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.policies.policy import MlpPolicy, normalise
from tests.learners.helpers import GOAL, describe, line_transitions, move, random_transitions
from tests.policies.helpers import make_actor, make_spec

pytest.importorskip("d3rlpy")
from robot_rl.learners.fqe import PolicyValue, _starts, as_d3rlpy, fitted_q_evaluation  # noqa: E402

DISCOUNT = 0.5


def steer(gain):
    """A policy on the line, tanh(gain (goal - x)): towards the goal if the gain is positive."""
    weights = {
        "layer0.weight": np.float32([[1, -1]]),  # relu(x) and relu(-x)
        "layer0.bias": np.zeros(2, np.float32),
        "layer1.weight": np.float32([[-gain], [gain]]),
        "layer1.bias": np.float32([gain * GOAL]),
        "log_std": np.zeros(1, np.float32),
    }
    fields = describe(1, 1).model_dump() | {"state_mean": [0.0], "state_std": [1.0], "hidden": [2]}
    return weights, make_spec(**fields)


def rolled_out(weights, spec, x, value):
    """The mean discounted sum of standardised rewards of 30 steps from the states x (E, 1)."""
    policy, total = MlpPolicy(weights, spec), 0.0
    for step in range(30):
        x = move(x, policy.act(x))
        reward = float(-abs(x - GOAL).mean())
        total += DISCOUNT**step * (reward - value.reward_mean) / value.reward_std
    return total


def test_a_good_policy_is_above_a_bad_one_and_both_are_near_the_truth():
    line = line_transitions()
    line = dataclasses.replace(line, episode_ends=np.ones(len(line), bool))  # each step a start of its own
    found = {}
    for gain in (10, -10):
        weights, spec = steer(gain)
        value = fitted_q_evaluation(weights, spec, line, discount=DISCOUNT, steps=500, seeds=(0, 1))
        truth = rolled_out(weights, spec, line.observations, value)
        assert value.mean == pytest.approx(truth, abs=0.4) and value.plausible
        found[gain] = min(value.values) if gain > 0 else max(value.values)
    assert found[-10] < -1 < 1 < found[10]


def test_what_it_says_of_the_data():
    # Rewards 1, 3, 1 | 3: mean 2, std 1: -1, 1, -1 | 1. The first episode goes on, the second terminates.
    # Returns at discount .5: -1 + .5 - .25 = -.75 and 1: mean .125; tail (.125 + 0) / 2.
    four = random_transitions(4)
    ends, masks = np.array([False, False, True, True]), np.float32([1, 1, 1, 0])
    four = dataclasses.replace(
        four, rewards=np.float32([1, 3, 1, 3]), episode_ends=ends, masks=masks, frame=np.arange(4)
    )
    value = fitted_q_evaluation(*small(), four, discount=0.5, steps=200, seeds=(3,))
    assert value.episodes == 2 and len(value.values) == 1 and value.spread == 0
    assert value.data_return == pytest.approx(0.125) and value.tail == pytest.approx(0.0625)
    assert value.reached == pytest.approx(0.75)  # two renewals
    assert value.allowed == pytest.approx((-2, 2)) and (value.reward_mean, value.reward_std) == (2, 1)


def small():
    """The checkpoint of `make_actor` with limits of ±1."""
    spec = make_spec(**describe().model_dump())
    return make_actor().policy_weights(), spec


def test_d3rlpy_acts_as_the_checkpoint():
    weights, spec = small()
    states = random_transitions().observations
    scaled = (states - np.float32(spec.state_mean)) / np.float32(spec.state_std)
    mine = normalise(MlpPolicy(weights, spec).act(states), -np.ones(2), np.ones(2))
    np.testing.assert_allclose(as_d3rlpy(weights, spec).predict(scaled), mine, atol=1e-6)


def test_mean_spread_and_what_cannot_be():
    value = PolicyValue((1.0, 3.0), 0.0, 0.0, 1.0, (-5.0, 2.9), 0.0, 1.0, 1)
    assert value.mean == 2 and value.spread == pytest.approx(2**0.5) and not value.plausible
    assert dataclasses.replace(value, allowed=(-5.0, 3.0)).plausible


def test_episodes_are_found_by_their_ends():
    starts, lengths = _starts(random_transitions(25))  # ends at 9 and 19, and the data's end
    assert starts.tolist() == [0, 10, 20] and lengths.tolist() == [10, 10, 5]


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"steps": 0}, "at least 1 update"), ({"seeds": ()}, "1 seed"), ({"discount": 1.0}, "below 1")],
)
def test_settings_are_checked(settings, told):
    with pytest.raises(BadInput, match=told):
        fitted_q_evaluation(*small(), random_transitions(), **({"discount": 0.9, "steps": 1} | settings))


def test_data_of_another_robot_are_refused():
    with pytest.raises(BadInput, match="observations have 4 numbers a step, but the description names 3"):
        fitted_q_evaluation(*small(), random_transitions(state=4), discount=0.9, steps=1)
