"""Exploring from a checkpoint draws what the learner draws."""

import numpy as np
import pytest
import torch

from robot_rl.learners.bc import sample_actions
from robot_rl.policies.checkpoint import save_checkpoint
from robot_rl.policies.exploring import ExploringPolicy
from robot_rl.policies.networks import SquashedGaussianActor, squash
from robot_rl.policies.policy import MlpPolicy, normalise
from tests.policies.helpers import make_actor, make_spec

STATE = np.float32([1.2, 2.5, 1.0])


def drawn(policy, count=4000):
    rng = np.random.default_rng(0)
    return np.stack([policy.act(STATE, rng) for _ in range(count)])


def scaled(actions, spec):
    return normalise(actions, np.float32(spec.action_low), np.float32(spec.action_high))


def test_a_gaussian_actor(tmp_path):
    actor, spec = make_actor(), make_spec(algorithm="iql")
    with torch.no_grad():
        actor.log_std.copy_(torch.tensor([-1.0, -2.0]))
    save_checkpoint(tmp_path, actor.policy_weights(), spec)
    found = scaled(drawn(ExploringPolicy.load(tmp_path)), spec)
    state = torch.from_numpy((STATE - np.float32(spec.state_mean)) / np.float32(spec.state_std))
    wanted = sample_actions(actor, state.expand(4000, -1), torch.Generator().manual_seed(1)).detach().numpy()
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=0.03)
    np.testing.assert_allclose(found.std(0), wanted.std(0), atol=0.02)


def test_a_squashed_actor_with_the_same_std_everywhere(tmp_path):
    actor = SquashedGaussianActor(3, (8, 4), 2, torch.Generator().manual_seed(0), initial_log_std=-0.7)
    with torch.no_grad():
        actor.net.weights[-1][..., :2] *= 300
        actor.net.weights[-1][..., 2:] = 0
    spec = make_spec(algorithm="calql")
    save_checkpoint(tmp_path, actor.policy_weights(), spec)
    found = scaled(drawn(ExploringPolicy.load(tmp_path)), spec)
    state = torch.from_numpy((STATE - np.float32(spec.state_mean)) / np.float32(spec.state_std))
    with torch.no_grad():
        mean, log_std = actor(state.expand(4000, -1))
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
        wanted = squash(mean, log_std, noise)[0].numpy()
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=0.03)
    np.testing.assert_allclose(found.std(0), wanted.std(0), atol=0.02)


@pytest.mark.parametrize("algorithm", ["iql", "rlpd"])
def test_without_noise_it_is_the_policy(tmp_path, algorithm):
    save_checkpoint(tmp_path, make_actor().policy_weights(), make_spec(algorithm=algorithm))
    still = ExploringPolicy.load(tmp_path, noise=0.0)
    action = MlpPolicy.load(tmp_path).act(STATE)
    np.testing.assert_allclose(still.act(STATE, np.random.default_rng(0)), action, atol=2e-5)
