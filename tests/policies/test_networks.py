"""The networks against torch's own modules and distributions."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from robot_rl.policies import networks
from robot_rl.policies.networks import EnsembleMLP, SquashedGaussianActor, drop, squash
from robot_rl.policies.policy import MlpPolicy
from tests.policies.helpers import make_spec


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def disturbed(module):
    """The module with all parameters moved, so that no two agree and none is 0 or 1."""
    g = generator(1)
    for p in module.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=g)
    return module


def as_torch(ensemble, member):
    """One member of an EnsembleMLP as torch's modules."""
    layers = []
    for k, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
        linear = nn.Linear(*weight.shape[1:])
        linear.weight.data, linear.bias.data = weight.data[member].T.clone(), bias.data[member, 0].clone()
        layers.append(linear)
        if k < len(ensemble.scales):
            norm = nn.LayerNorm(weight.shape[2])
            norm.weight.data = ensemble.scales[k].data[member, 0].clone()
            norm.bias.data = ensemble.shifts[k].data[member, 0].clone()
            layers.append(norm)
        if k < len(ensemble.weights) - 1:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("large", [1, 10_000])
def test_every_member_is_the_mlp_of_torch(layer_norm, large, monkeypatch):
    """In one product for all members, and where activations are `large` in many: here of 7 rows at most 4."""
    monkeypatch.setattr(networks, "LARGE", large)
    monkeypatch.setattr(networks, "CACHED", 4 * 8)
    ensemble = disturbed(EnsembleMLP(3, [5, 8, 6, 2], generator(), layer_norm))
    x = torch.randn(7, 5, generator=generator(2))
    out = ensemble(x)
    out[1].square().sum().backward()
    for member in range(3):
        torch.testing.assert_close(out[member], as_torch(ensemble, member)(x))
    torch.testing.assert_close(ensemble(x, members=torch.tensor([2, 0])), out[[2, 0]])
    plain = as_torch(ensemble, 1)
    plain(x).square().sum().backward()
    torch.testing.assert_close(ensemble.weights[0].grad[1].T, plain[0].weight.grad, rtol=1e-4, atol=1e-5)
    assert not ensemble.weights[0].grad[0].any()
    if layer_norm:
        torch.testing.assert_close(ensemble.scales[0].grad[1, 0], plain[1].weight.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ensemble.shifts[1].grad[1, 0], plain[4].bias.grad, rtol=1e-4, atol=1e-5)


def test_a_frozen_ensemble_passes_gradients_only_to_its_input():
    ensemble = disturbed(EnsembleMLP(2, [3, 4, 1], generator(), layer_norm=True))
    x = torch.randn(5, 3, generator=generator(2), requires_grad=True)
    ensemble(x, frozen=True).sum().backward()
    frozen, x.grad = x.grad.clone(), None
    assert all(p.grad is None for p in ensemble.parameters())
    ensemble(x).sum().backward()
    torch.testing.assert_close(frozen, x.grad)
    assert all(p.grad is not None for p in ensemble.parameters())


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    x = drop(torch.ones(200_000), 0.25, generator())
    assert x.unique().tolist() == [0, pytest.approx(4 / 3)]
    assert float((x == 0).float().mean()) == pytest.approx(0.25, abs=0.005)
    assert torch.equal(x, drop(torch.ones(200_000), 0.25, generator()))


def test_units_are_dropped_only_with_a_generator():
    ensemble = EnsembleMLP(2, [3, 64, 1], generator(), dropout=0.5)
    x = torch.randn(5, 3, generator=generator(2))
    assert torch.equal(ensemble(x), EnsembleMLP(2, [3, 64, 1], generator())(x))
    assert not torch.allclose(ensemble(x), ensemble(x, generator=generator()))


def test_log_density_is_that_of_a_tanh_normal():
    g = generator()
    mean, log_std = torch.randn(6, 3, generator=g), torch.randn(6, 3, generator=g) - 1
    actions, log_prob = squash(mean, log_std, torch.randn(4, 6, 3, generator=g))
    expected = TransformedDistribution(Normal(mean, log_std.exp()), TanhTransform(cache_size=1))
    assert actions.shape == (4, 6, 3) and float(actions.abs().max()) < 1
    torch.testing.assert_close(log_prob, Independent(expected, 1).log_prob(actions), rtol=1e-4, atol=1e-3)
    # Mean 0, std 1, noise 0: the action is 0, tanh's slope there is 1, the log density - 2 * ln(2 pi) / 2.
    zero = torch.zeros(1, 2)
    assert squash(zero, zero, zero)[1].item() == pytest.approx(-np.log(2 * np.pi))
    # Far out, where log(1 - tanh²) has no digits left: it is 2 (ln 2 - u) to within exp(-2 u).
    far = squash(torch.full((1, 1), 20.0), torch.zeros(1, 1), torch.zeros(1, 1))[1].item()
    assert far == pytest.approx(-0.5 * np.log(2 * np.pi) - 2 * (np.log(2) - 20), rel=1e-5)


def test_density_of_given_actions_is_that_of_the_sample():
    actor = disturbed(SquashedGaussianActor(3, (8,), 2, generator()))
    states = torch.randn(10, 3, generator=generator(2))
    actions, log_prob = squash(*actor(states), torch.randn(10, 2, generator=generator(3)))
    torch.testing.assert_close(actor.log_prob(states, actions), log_prob, rtol=1e-3, atol=1e-3)
    assert torch.isfinite(actor.log_prob(states, torch.ones(10, 2))).all()


def test_the_squashed_actor_deploys_its_mean():
    actor = disturbed(SquashedGaussianActor(3, (8, 5), 2, generator(), initial_log_std=-1.5))
    limits = {"action_low": [-1, -1], "action_high": [1, 1]}
    spec = make_spec(hidden=[8, 5], state_mean=[0] * 3, state_std=[1] * 3, **limits)
    policy = MlpPolicy(actor.policy_weights(), spec)
    states = torch.randn(10, 3, generator=generator(2))
    expected = torch.tanh(actor(states)[0]).detach().numpy()
    np.testing.assert_allclose(policy.act(states.numpy()), expected, atol=1e-6)
    assert actor.policy_weights()["log_std"].shape == (2,)


def test_the_squashed_actor_begins_near_the_middle_with_the_given_std():
    actor = SquashedGaussianActor(3, (8,), 2, generator(), initial_log_std=-1.5)
    with torch.no_grad():
        mean, log_std = actor(torch.randn(10, 3, generator=generator(2)))
    assert float(mean.abs().max()) < 0.2
    np.testing.assert_allclose(log_std, -1.5, atol=0.2)
