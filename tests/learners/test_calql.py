"""Cal-QL's losses against arithmetic on paper, and what its calibration does to what is learned."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.calql import CalQL, CalQLConfig, calibrate, conservative_loss, pairs, td_loss
from robot_rl.policies.networks import squash
from tests.learners.helpers import GOAL, move, random_transitions

SMALL = CalQLConfig(hidden=(8, 8), n_actions=3, learning_rate=1e-2, actor_learning_rate=1e-2, target_rate=0.1)


def make(config=SMALL, seed=0):
    """A learner whose networks have moved from their start."""
    generator = torch.Generator().manual_seed(seed)
    learner = CalQL(3, 2, config, generator)
    for p in [*learner.q.parameters(), *learner.target_q.parameters(), *learner.actor.parameters()]:
        p.data += 0.3 * torch.randn(p.shape, generator=generator)
    return learner


def batch_of(discount=0.99):
    return TransitionTable(random_transitions(), discount).rows(torch.arange(64))


def test_td_loss():
    # critic 1: ((1 - 2)² + (2 - 2)²) / 2 = .5; critic 2: ((4 - 2)² + (2 - 2)²) / 2 = 2
    assert td_loss(torch.tensor([[1.0, 2.0], [4.0, 2.0]]), torch.tensor([2.0, 2.0])).item() == 2.5


def test_calibration_is_a_floor_a_state():
    # one critic, two actions of two states, whose returns are 1 and -1
    q = torch.tensor([[[0.0, 0.0], [2.0, -3.0]]], requires_grad=True)
    bounded = calibrate(q, torch.tensor([1.0, -1.0]))
    assert bounded.tolist() == [[[1, 0], [2, -1]]]
    bounded.sum().backward()
    assert q.grad.tolist() == [[[0, 1], [1, 0]]]  # values below the floor are not pushed down


def test_conservative_loss():
    # Two samples of one state with log densities ln(1/2) and 0 and values ln 3 and ln 2:
    # ln(3 / (1/2) + 2 / 1) = ln 8; minus the data's ln 4 it is ln 2. The second critic, all 0: ln(2 + 1).
    q = torch.tensor([[[math.log(3)], [math.log(2)]], [[0.0], [0.0]]])
    density = torch.tensor([[-math.log(2)], [0.0]])
    loss = conservative_loss(q, density, torch.tensor([[math.log(4)], [0.0]]))
    assert loss.item() == pytest.approx(math.log(2) + math.log(3))


def test_pairs_go_action_by_action():
    rows = pairs(torch.tensor([[1.0], [2.0]]), torch.tensor([[[3.0], [4.0]], [[5.0], [6.0]]]))
    assert rows.tolist() == [[1, 3], [2, 4], [1, 5], [2, 6]]


def q_of(network, states, actions):
    return network(torch.cat([states, actions], 1))[..., 0]  # (2, B)


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_critic_loss_written_with_loops(calibrated):
    """As the authors' code has it, action by action; random actions are never bounded."""
    learner, batch = make(dataclasses.replace(SMALL, calibrated=calibrated, entropy_backup=True)), batch_of()
    noise = learner.draw_noise(batch)
    got = learner.losses(batch, noise)
    s, n, temperature = batch.observations, batch.next_observations, learner.temperature()
    with torch.no_grad():
        candidates = [squash(*learner.actor(n), z) for z in noise.target]
        values = torch.stack([q_of(learner.target_q, n, a).amin(0) for a, _ in candidates])
        best = values.argmax(0)
        target = torch.stack([values[k, i] - temperature * candidates[k][1][i] for i, k in enumerate(best)])
        target = batch.rewards + 0.99 * batch.masks * target[:, 0]
        terms = [q_of(learner.q, s, a) + 2 * math.log(2) for a in noise.uniform]
        floor = batch.mc_returns if calibrated else torch.tensor(-torch.inf)
        for states, noises in ((s, noise.current), (n, noise.following)):
            sampled = [squash(*learner.actor(states), z) for z in noises]
            terms += [torch.maximum(q_of(learner.q, s, a), floor) - density for a, density in sampled]
        q = q_of(learner.q, s, batch.actions)
        gap = torch.stack(terms).exp().sum(0).log() - q
    expected = ((q - target) ** 2).mean(1).sum() + 5 * gap.mean(1).sum()
    assert got["critic_loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert (float(got["bounded"]) > 0.1) == calibrated


def test_the_actor_climbs_the_least_critic():
    learner, batch = make(), batch_of()
    noise = learner.draw_noise(batch)
    actions, log_prob = squash(*learner.actor(batch.observations), noise.actor)
    q = q_of(learner.q, batch.observations, actions)
    got = learner.losses(batch, noise)
    expected = log_prob - torch.minimum(q[0], q[1])  # the temperature is 1
    assert got["actor_loss"].item() == pytest.approx(expected.mean().item(), rel=1e-5)
    # The target entropy is - 2.
    assert got["temperature_loss"].item() == pytest.approx(-(log_prob.mean().item() - 2), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_actions": 0}, "n_actions must be at least 1"),
        ({"cql_alpha": -1.0}, "cql_alpha is a weight and must be at least 0, not -1"),
        ({"bc_weight": -1.0}, "bc_weight is a weight"),
        ({"temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_settings_are_checked(change, told):
    with pytest.raises(BadInput, match=told):
        dataclasses.replace(SMALL, **change)


def test_the_weight_of_cloning_adds_the_likelihood_of_the_data():
    plain, batch = make(), batch_of()
    cloning = make(dataclasses.replace(SMALL, bc_weight=2.0))
    noise = plain.draw_noise(batch)
    difference = cloning.losses(batch, noise)["actor_loss"] - plain.losses(batch, noise)["actor_loss"]
    likelihood = plain.actor.log_prob(batch.observations, batch.actions).mean()
    assert difference.item() == pytest.approx(-2 * likelihood.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "own"), [("critic_loss", "q"), ("actor_loss", "actor"), ("temperature_loss", "temperature")]
)
def test_gradients_stay_in_their_network(loss, own):
    learner, batch = make(dataclasses.replace(SMALL, entropy_backup=True, bc_weight=1.0)), batch_of()
    learner.losses(batch, learner.draw_noise(batch))[loss].backward()
    names = ("q", "target_q", "actor", "temperature")
    moved = {
        name
        for name in names
        if any(p.grad is not None and p.grad.any() for p in getattr(learner, name).parameters())
    }
    assert moved == {own}


def test_update_equals_three_separate_adams():
    """The flat tensors, the single backward and the single Adam change nothing but speed."""
    fast, plain, batch = make(), make(), batch_of()
    networks = [plain.q, plain.actor, plain.temperature]
    for network in networks:  # off the flat tensors
        for p in network.parameters():
            p.data, p.grad = p.data.clone(), None
    rates = [3e-3, 1e-3, 1e-3]
    adams = [torch.optim.Adam(n.parameters(), lr=lr) for n, lr in zip(networks, rates, strict=True)]
    fast._adam.set_learning_rate("q", 3e-3)
    for name in ("actor", "temperature"):
        fast._adam.set_learning_rate(name, 1e-3)
    for _ in range(4):
        fast.update(batch)
        losses = plain.losses(batch, plain.draw_noise(batch))
        for adam, name in zip(adams, ("critic_loss", "actor_loss", "temperature_loss"), strict=True):
            adam.zero_grad()
            losses[name].backward()
        for adam in adams:
            adam.step()
        for target, p in zip(plain.target_q.parameters(), plain.q.parameters(), strict=True):
            target.data = 0.9 * target.data + 0.1 * p.data
    for name in ("q", "target_q", "actor", "temperature"):
        pairs_of = zip(getattr(fast, name).parameters(), getattr(plain, name).parameters(), strict=True)
        for mine, theirs in pairs_of:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_state_continues_exactly():
    learner, other, batch = make(), make(seed=1), batch_of()
    learner.update(batch)
    other.load_state_dict({name: tensor.clone() for name, tensor in learner.state_dict().items()})
    other._generator.set_state(learner._generator.get_state())  # as the loop does, which owns it
    learner.update(batch)
    other.update(batch)
    assert other.step == 2
    for name, tensor in learner.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_batch_without_returns_is_refused():
    batch = batch_of(discount=None)
    with pytest.raises(BadInput, match=r"needs mc_returns.*TransitionTable\(transitions, discount\)"):
        make().update(batch)
    make(dataclasses.replace(SMALL, calibrated=False)).update(batch)


def test_actions_are_samples_within_the_limits():
    learner = make()
    states = torch.zeros(500, 3)
    actions = learner.act(states, torch.Generator().manual_seed(0))
    assert actions.shape == (500, 2) and float(actions.abs().max()) < 1 and float(actions.std(0).min()) > 0.01
    assert torch.equal(actions, learner.act(states, torch.Generator().manual_seed(0)))
    learner.actor.net.biases[-1].data[..., :2] = 20.0  # where tanh is 1 in float32
    assert 0.999 < float(learner.act(states, torch.Generator().manual_seed(0)).min()) < 1
    assert float(learner.act(states, torch.Generator().manual_seed(0)).max()) < 1


def line_episodes(seed, control, count=100, steps=20):
    """Random actions on the line in episodes that are cut; the control's rewards are shuffled."""
    rng = np.random.default_rng(seed)
    places = [rng.uniform(-1, 1, (count, 1))]
    actions = rng.uniform(-1, 1, (steps, count, 1))
    for action in actions:
        places.append(move(places[-1], action))
    places, actions = np.stack(places, 1, dtype=np.float32), actions.transpose(1, 0, 2).astype(np.float32)
    states, following = places[:, :-1].reshape(-1, 1), places[:, 1:].reshape(-1, 1)
    rewards = -abs(following - GOAL)[:, 0]
    rewards = rng.permutation(rewards) if control else rewards
    ones, frame = np.ones(len(states), np.float32), np.arange(len(states))
    ends = frame % steps == steps - 1
    return Transitions(states, actions.reshape(-1, 1), rewards, ones, following, ends, frame)


def line_distance(seed, control=False):
    """How far from the goal the policy ends that is learned from 400 batches of random line episodes."""
    rates = {"learning_rate": 3e-3, "actor_learning_rate": 3e-3}
    config = CalQLConfig(hidden=(32, 32), discount=0.9, n_actions=4, cql_alpha=0.3, **rates)
    generator = torch.Generator().manual_seed(seed)
    learner = CalQL(1, 1, config, generator)
    table = TransitionTable(line_episodes(seed, control), config.discount)
    for _ in range(400):
        learner.update(table.sample(64, generator))
    x = np.linspace(-1, 1, 21, dtype=np.float32)[:, None]
    for _ in range(20):
        x = move(x, torch.tanh(learner.actor(torch.from_numpy(x).float())[0]).detach().numpy())
    return float(abs(x - GOAL).mean())


def test_it_reaches_the_goal_and_with_shuffled_rewards_it_does_not():
    learned, control = ([line_distance(seed, kind) for seed in range(3)] for kind in (False, True))
    assert max(learned) < 0.15 < 0.3 < min(control)
