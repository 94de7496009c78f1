"""The numpy policy computes what torch computes, within the limits, without torch."""

import subprocess
import sys

import numpy as np
import torch

from robot_rl.policies.action_error import action_errors, summary
from robot_rl.policies.checkpoint import save_checkpoint
from robot_rl.policies.policy import MlpPolicy, denormalise, normalise
from tests.policies.conformance import check_policy
from tests.policies.helpers import make_actor, make_spec


def make_policy():
    return MlpPolicy(make_actor().policy_weights(), make_spec())


def test_conformance():
    check_policy(make_policy())


def test_numpy_equals_torch(tmp_path):
    folder = save_checkpoint(tmp_path, make_actor().policy_weights(), make_spec())
    states = np.random.default_rng(0).normal(2, 2, (50, 3)).astype(np.float32)
    normalised = (states - [1, 2, 3]) / [0.5, 1, 2]
    with torch.no_grad():
        mean = make_actor().mean(torch.tensor(normalised, dtype=torch.float32)).numpy()
    assert mean.std() > 0.3
    expected = np.array([-1, 10]) + (mean + 1) / 2 * np.array([4, 10])  # limits -1 to 3 and 10 to 20
    np.testing.assert_allclose(MlpPolicy.load(folder).act(states), expected, rtol=1e-6, atol=1e-6)


def test_actions_go_to_the_middle_range_and_back():
    low, high = np.float32([-1, 10]), np.float32([3, 20])
    actions = np.float32([[1, 15], [3, 10], [2, 12.5]])
    normalised = normalise(actions, low, high)
    np.testing.assert_allclose(normalised, [[0, 0], [1, -1], [0.5, -0.5]])
    np.testing.assert_allclose(denormalise(normalised, low, high), actions)
    np.testing.assert_array_equal(denormalise(np.float32([[2, -2]]), low, high), [[3, 10]])


def test_action_error():
    policy, states = make_policy(), np.zeros((2, 3), np.float32)
    actions = policy.act(states) + np.float32([[1, 0], [-3, 0]])
    # a: (1 + 3) / 2 = 2, sqrt((1 + 9) / 2) = 2.236, std 4; b: 0, and the data do not move
    a, b = action_errors(policy.spec, policy.act(states), actions, np.array([4.0, 0.0]))
    np.testing.assert_allclose(
        [a.mean_absolute, a.rms, a.mean_absolute_in_std, a.rms_in_std],
        [2, 5**0.5, 0.5, 5**0.5 / 4],
        rtol=1e-5,
    )
    assert (a.unit, b.rms, b.rms_in_std) == ("N", 0, None)
    assert summary([a, b])["rms_in_std"] == a.rms_in_std


def test_no_torch_is_needed():
    code = (
        "import robot_rl.policies.policy, robot_rl.policies.action_error, sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
