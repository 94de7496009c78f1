"""IQL's losses against arithmetic on paper, and its update against one written as in a textbook."""

import dataclasses
import math

import pytest
import torch

from robot_rl.learners import bc
from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.iql import IQL, IQLConfig, actor_loss, actor_weights, q_loss, value_loss
from robot_rl.policies.networks import GaussianActor
from tests.learners.helpers import random_transitions

SMALL = IQLConfig(steps=10, hidden=(8, 8), learning_rate=1e-2, target_rate=0.1)


def make(config=SMALL, seed=0):
    return IQL(3, 2, config, torch.Generator().manual_seed(seed))


def batch_of(**changes):
    transitions = dataclasses.replace(random_transitions(), **changes)
    return TransitionTable(transitions).rows(torch.arange(len(transitions)))


def test_value_loss():
    # u = 3 - 1 = 2 and 0 - 1 = -1; weights .9 and |.9 - 1| = .1: (.9 * 4 + .1 * 1) / 2 = 1.85
    loss = value_loss(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 1.0]), 0.9)
    assert float(loss) == pytest.approx(1.85)


def test_expectile_of_a_half_is_half_the_squared_error():
    target, value = torch.randn(50), torch.randn(50)
    expected = 0.5 * torch.nn.functional.mse_loss(value, target)
    assert float(value_loss(target, value, 0.5)) == pytest.approx(float(expected), rel=1e-6)


def test_q_loss():
    # targets 1 + .5 * 1 * 4 = 3 and, terminated, 2 + .5 * 0 * 4 = 2
    # critic 1: ((3 - 2)² + (2 - 2)²) / 2 = .5; critic 2: ((3 - 0)² + (2 - 3)²) / 2 = 5; the sum is 5.5
    q = torch.tensor([[2.0, 2.0], [0.0, 3.0]])
    loss = q_loss(q, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]), torch.tensor([4.0, 4.0]), 0.5)
    assert float(loss) == pytest.approx(5.5)


def test_actor_weights_are_clipped_at_100():
    # exp(3 * 0) = 1, exp(3 * ln(2) / 3) = 2, exp(3 * 2) = 403 > 100
    weights = actor_weights(torch.tensor([0.0, math.log(2) / 3, 2.0], requires_grad=True), 3.0)
    assert weights.tolist() == pytest.approx([1, 2, 100]) and not weights.requires_grad


def test_actor_loss():
    # -(1 * -2 + 3 * -4) / 2 = 7
    assert float(actor_loss(torch.tensor([-2.0, -4.0]), torch.tensor([1.0, 3.0]))) == pytest.approx(7)


def test_log_density_of_the_actor():
    actor = GaussianActor(3, (4,), 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for bias in actor.net.biases:
            bias.fill_(0.0)
        actor.log_std.copy_(torch.tensor([0.0, math.log(2)]))
    # A state of 0 gives the mean tanh(0) = 0. Action (1, -2) has z = (1, -1): the log density is
    # -(1 + 1) / 2 - (0 + ln 2) - 2 * ln(2 pi) / 2 = -1 - .6931 - 1.8379
    log_prob = actor.log_prob(torch.zeros(1, 3), torch.tensor([[1.0, -2.0]]))
    assert log_prob.item() == pytest.approx(-3.5310, abs=1e-4)


@pytest.mark.parametrize(
    ("loss", "own"), [("value_loss", {"v"}), ("q_loss", {"q"}), ("actor_loss", {"actor"})]
)
def test_gradients_stay_in_their_network(loss, own):
    learner = make()
    learner.losses(batch_of())[loss].backward()
    networks = {"v": learner.v, "q": learner.q, "target_q": learner.target_q, "actor": learner.actor}
    moved = {
        name
        for name, network in networks.items()
        if any(float(p.grad.abs().sum()) > 0 for p in network.parameters())
    }
    assert moved == own


def test_update_equals_three_separate_adams():
    """The flat tensors, the single backward and the single Adam change nothing but speed."""
    fast, plain, batch = make(), make(), batch_of()
    networks = [plain.v, plain.q, plain.actor]
    for network in networks:  # off the flat tensors
        for p in network.parameters():
            p.data, p.grad = p.data.clone(), None
    target = [w.data.clone() for w in plain.target_q.parameters()]
    adams = [torch.optim.Adam(network.parameters(), lr=SMALL.learning_rate) for network in networks]
    for step in range(5):
        fast.update(batch)
        for w, value in zip(plain.target_q.parameters(), target, strict=True):
            w.data = value
        adams[2].param_groups[0]["lr"] = 1e-2 * 0.5 * (1 + math.cos(math.pi * step / 10))
        losses = plain.losses(batch)
        for adam, name in zip(adams, ("value_loss", "q_loss", "actor_loss"), strict=True):
            adam.zero_grad()
            losses[name].backward()
            adam.step()
        target = [0.9 * old + 0.1 * new.data for old, new in zip(target, plain.q.parameters(), strict=True)]
    for mine, theirs in zip([fast.v, fast.q, fast.actor], networks, strict=True):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(fast.target_q.parameters(), target, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_without_rewards_iql_becomes_behaviour_cloning():
    learner = make(IQLConfig(steps=3000, hidden=(16, 16), learning_rate=3e-3, discount=0.5))
    batch = batch_of(rewards=torch.zeros(64).numpy())
    for _ in range(1500):
        learner.update(batch)
    info = learner.losses(batch)
    assert learner.q(batch.observations_actions).abs().mean().item() < 0.05
    assert float((info["weight"] - 1).abs().mean()) < 0.1
    cloning = bc.actor_loss(learner.actor.log_prob(batch.observations, batch.actions))
    assert info["actor_loss"].item() == pytest.approx(cloning.item(), abs=0.1)


def test_state_continues_exactly():
    learner, other, batch = make(), make(seed=1), batch_of()
    learner.update(batch)
    other.load_state_dict({name: tensor.clone() for name, tensor in learner.state_dict().items()})
    learner.update(batch)
    other.update(batch)
    assert other.step == 2
    for name, tensor in learner.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
