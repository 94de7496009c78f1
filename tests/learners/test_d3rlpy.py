"""Our IQL and Cal-QL against d3rlpy's on the same weights, the same batch and the same noise."""

import pytest
import torch

from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.calql import CalQL, CalQLConfig
from robot_rl.learners.iql import IQL, IQLConfig
from robot_rl.policies.networks import LOG_STD_RANGE
from tests.learners.helpers import random_transitions

HIDDEN = (8, 8)


def copy_layers(ensemble, member, module, *last):
    """Copy one member of an EnsembleMLP into a d3rlpy module whose output layers are `last`."""
    hidden = [x for x in module._encoder._layers if isinstance(x, torch.nn.Linear)]
    weights = [weight.data[member].T.clone() for weight in ensemble.weights]  # (out, in), as nn.Linear has it
    biases = [bias.data[member, 0].clone() for bias in ensemble.biases]
    outputs = zip(last, weights.pop().chunk(len(last)), biases.pop().chunk(len(last)), strict=True)
    for name, weight, bias in outputs:
        getattr(module, name).weight.data, getattr(module, name).bias.data = weight, bias
    for layer, weight, bias in zip(hidden, weights, biases, strict=True):
        layer.weight.data, layer.bias.data = weight, bias


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


def as_theirs(cls, batch, returns):
    """Our batch as d3rlpy's TorchMiniBatch `cls`."""
    column = {"rewards": batch.rewards, "returns_to_go": returns, "terminals": 1 - batch.masks}
    return cls(
        observations=batch.observations,
        actions=batch.actions,
        next_observations=batch.next_observations,
        next_actions=batch.actions,
        intervals=torch.ones(64, 1),
        device="cpu",
        **{name: values[:, None] for name, values in column.items()},
    )


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
    theirs = as_theirs(TorchMiniBatch, batch, batch.rewards)
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


@pytest.fixture(params=["max_backup", "entropy_backup"])
def calibrated(request, monkeypatch):
    """Both Cal-QLs with equal weights, one batch for each, and our noise, which d3rlpy draws as well.

    The third way of d3rlpy, a backup of the mean action, is not in the authors' code and not here.
    """
    d3rlpy = pytest.importorskip("d3rlpy")
    from d3rlpy.torch_utility import TorchMiniBatch

    largest = request.param == "max_backup"
    config = CalQLConfig(
        hidden=HIDDEN,
        discount=0.97,
        n_actions=4,
        cql_alpha=3,
        temperature=0.7,
        max_backup=largest,
        entropy_backup=not largest,
    )
    generator = torch.Generator().manual_seed(0)
    ours = CalQL(3, 2, config, generator)
    for p in [*ours.q.parameters(), *ours.target_q.parameters(), *ours.actor.parameters()]:
        p.data += 0.3 * torch.randn(p.shape, generator=generator)
    encoder = d3rlpy.models.VectorEncoderFactory(list(HIDDEN))
    algorithm = d3rlpy.algos.CalQLConfig(
        actor_encoder_factory=encoder,
        critic_encoder_factory=encoder,
        gamma=0.97,
        n_action_samples=4,
        conservative_weight=3,
        initial_alpha=1,
        alpha_learning_rate=0,
        alpha_threshold=0,
        initial_temperature=0.7,
        temp_learning_rate=1e-12,  # it takes a temperature step inside of the actor's loss: one of no length
        soft_q_backup=not largest,
        max_q_backup=largest,
    ).create(device=False)
    algorithm.create_impl((3,), 2)
    modules = algorithm.impl._modules
    for member in range(2):
        copy_layers(ours.q, member, modules.q_funcs[member], "_fc")
        copy_layers(ours.target_q, member, modules.targ_q_funcs[member], "_fc")
    copy_layers(ours.actor.net, 0, modules.policy, "_mu", "_logstd")
    batch = TransitionTable(random_transitions(), 0.97).rows(torch.arange(64))
    torch.manual_seed(0)  # d3rlpy draws its uniform actions (B * n, A) from the global generator
    uniform = torch.zeros(64 * 4, 2).uniform_(-1, 1).view(64, 4, 2).transpose(0, 1)
    noise = ours.draw_noise(batch)._replace(uniform=uniform)
    torch.manual_seed(0)
    queue = [noise.target if largest else noise.target[0], noise.current, noise.following, noise.actor]

    def rsample(normal, shape=()):
        drawn = queue.pop(0)
        assert drawn.shape == (*shape, *normal.loc.shape)
        return normal.loc + normal.scale * drawn

    monkeypatch.setattr(torch.distributions.Normal, "rsample", rsample)
    return ours, batch, noise, algorithm.impl, as_theirs(TorchMiniBatch, batch, batch.mc_returns)


def test_calql(calibrated):
    """Critic, actor and temperature loss, and the critics' and the actor's gradients."""
    ours, batch, noise, impl, theirs = calibrated
    mine = ours.losses(batch, noise)
    assert 0.2 < float(mine["bounded"]) < 0.8  # so that both branches of the calibration are compared
    critic = impl.compute_critic_loss(theirs, impl.compute_target(theirs))
    actor = impl.compute_actor_loss(theirs, impl._modules.policy(theirs.observations))
    pairs = [
        ("critic_loss", critic.critic_loss, ours.q.weights[0], impl._modules.q_funcs[0]),
        ("actor_loss", actor.actor_loss, ours.actor.net.weights[0], impl._modules.policy),
    ]
    for name, loss, weight, module in pairs:
        assert mine[name].item() == pytest.approx(loss.item(), rel=1e-4)
        (gradient,) = torch.autograd.grad(mine[name], weight, retain_graph=True)
        (expected,) = torch.autograd.grad(loss, module._encoder._layers[0].weight)
        torch.testing.assert_close(gradient[0].T, expected, rtol=1e-4, atol=1e-5)
        assert float(gradient.abs().sum()) > 0
    assert mine["conservative_loss"].item() * 3 == pytest.approx(critic.conservative_loss.item(), rel=1e-4)
    assert mine["temperature_loss"].item() == pytest.approx(actor.temp_loss.item(), rel=1e-4)
