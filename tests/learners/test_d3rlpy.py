"""Our IQL against d3rlpy's on the same weights and the same batch."""

import pytest
import torch

from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.iql import IQL, IQLConfig
from robot_rl.policies.networks import LOG_STD_RANGE
from tests.learners.helpers import random_transitions

HIDDEN = (8, 8)


def copy_layers(ensemble, member, module, last):
    """Copy one member of an EnsembleMLP into a d3rlpy module whose output layer is `last`."""
    layers = [*(x for x in module._encoder._layers if isinstance(x, torch.nn.Linear)), getattr(module, last)]
    for layer, weight, bias in zip(layers, ensemble.weights, ensemble.biases, strict=True):
        layer.weight.data = weight.data[member].T.clone()  # (out, in), as torch.nn.Linear has it
        layer.bias.data = bias.data[member, 0].clone()


def copy_learner(ours, modules):
    """Copy all of our networks into d3rlpy's."""
    for member in range(2):
        copy_layers(ours.q, member, modules.q_funcs[member], "_fc")
        copy_layers(ours.target_q, member, modules.targ_q_funcs[member], "_fc")
    copy_layers(ours.v, 0, modules.value_func, "_fc")
    copy_layers(ours.actor.net, 0, modules.policy, "_mu")
    low, high = LOG_STD_RANGE
    # d3rlpy squashes its log std by a sigmoid into the range that ours is clamped to.
    modules.policy._logstd.data = torch.logit((ours.actor.log_std.data - low) / (high - low))[None]


@pytest.fixture(scope="module")
def pair():
    """Ours and d3rlpy's with equal weights, and one batch for each."""
    d3rlpy = pytest.importorskip("d3rlpy")
    from d3rlpy.torch_utility import TorchMiniBatch

    config = IQLConfig(steps=100, hidden=HIDDEN, expectile=0.8, temperature=2.0, discount=0.97)
    generator = torch.Generator().manual_seed(0)
    ours = IQL(3, 2, config, generator)
    for p in [*ours.target_q.parameters(), *ours.actor.parameters(), *ours.v.parameters()]:
        p.data += 0.3 * torch.randn(p.shape, generator=generator)  # so that no two networks agree
    encoder = d3rlpy.models.VectorEncoderFactory(list(HIDDEN))
    names = ("actor_encoder_factory", "critic_encoder_factory", "value_encoder_factory")
    settings = d3rlpy.algos.IQLConfig(
        **dict.fromkeys(names, encoder), expectile=0.8, weight_temp=2.0, gamma=0.97
    )
    algorithm = settings.create(device=False)
    algorithm.create_impl((3,), 2)
    copy_learner(ours, algorithm.impl._modules)
    batch = TransitionTable(random_transitions()).rows(torch.arange(64))
    column = {"rewards": batch.rewards, "returns_to_go": batch.rewards, "terminals": 1 - batch.masks}
    theirs = TorchMiniBatch(
        observations=batch.observations,
        actions=batch.actions,
        next_observations=batch.next_observations,
        next_actions=batch.actions,
        intervals=torch.ones(64, 1),
        device="cpu",
        **{name: values[:, None] for name, values in column.items()},
    )
    return ours, batch, algorithm.impl, theirs


def test_critic_losses(pair):
    ours, batch, impl, theirs = pair
    mine = ours.losses(batch)
    their = impl.compute_critic_loss(theirs, impl.compute_target(theirs))
    assert mine["value_loss"].item() == pytest.approx(their.v_loss.item(), rel=1e-4)
    assert mine["q_loss"].item() == pytest.approx(their.q_loss.item(), rel=1e-4)


def test_actor_loss_and_its_gradient(pair):
    ours, batch, impl, theirs = pair
    mine = ours.losses(batch)["actor_loss"]
    their = impl.compute_actor_loss(theirs, impl._modules.policy(theirs.observations)).actor_loss
    assert mine.item() == pytest.approx(their.item(), rel=1e-4)
    (gradient,) = torch.autograd.grad(mine, ours.actor.net.weights[0])
    (expected,) = torch.autograd.grad(their, impl._modules.policy._encoder._layers[0].weight)
    torch.testing.assert_close(gradient[0].T, expected, rtol=1e-4, atol=1e-6)
    assert float(gradient.abs().sum()) > 0
