"""RLPD's losses against arithmetic on paper, its order of steps, and the line problem with a control."""

import dataclasses

import numpy as np
import pytest
import torch

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.learners.batch import TransitionTable, symmetric
from robot_rl.learners.rlpd import RLPD, RLPDConfig, critic_loss, droq, slice_batch
from robot_rl.policies.networks import squash
from tests.learners.helpers import GOAL, line_transitions, move, random_transitions

SMALL = RLPDConfig(hidden=(8, 8), critics=4, subset=2, utd=3, learning_rate=1e-2, target_rate=0.1)


def make(config=SMALL, seed=0):
    """A learner whose networks have moved from their start."""
    generator = torch.Generator().manual_seed(seed)
    learner = RLPD(3, 2, config, generator)
    for p in [*learner.q.parameters(), *learner.target_q.parameters(), *learner.actor.parameters()]:
        p.data += 0.3 * torch.randn(p.shape, generator=generator)
    return learner


def batch_of(count=60):
    return TransitionTable(random_transitions(count)).rows(torch.arange(count))


def test_critic_loss():
    # ((1 - 2)² + (2 - 2)² + (4 - 2)² + (2 - 2)²) / 4 = 5 / 4
    q = torch.tensor([[1.0, 2.0], [4.0, 2.0]])
    assert critic_loss(q, torch.tensor([2.0, 2.0])).item() == 1.25


def test_the_target_is_the_least_of_the_subset_with_the_entropy_bonus():
    learner, batch = make(), batch_of()
    pairs = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    bonus, members = torch.linspace(-1, 1, 60), torch.tensor([3, 1])
    every = learner.target_q(pairs)[..., 0]  # (4, B)
    target = batch.rewards + 0.99 * batch.masks * (torch.minimum(every[3], every[1]) + bonus)
    q = learner.q(torch.cat([batch.observations, batch.actions], 1))[..., 0]
    got = learner.critic_losses(batch, pairs, bonus, members)["critic_loss"]
    assert got.item() == pytest.approx(((q - target) ** 2).mean().item(), rel=1e-5)


def test_the_actor_climbs_the_mean_over_all_critics():
    learner, batch = make(), batch_of()
    noise = torch.randn(60, 2, generator=torch.Generator().manual_seed(1))
    actions, log_prob = squash(*learner.actor(batch.observations), noise)
    q = learner.q(torch.cat([batch.observations, actions], 1)).mean((0, 2))
    got = learner.actor_losses(batch.observations, noise)
    assert got["actor_loss"].item() == pytest.approx((log_prob - q).mean().item(), rel=1e-5)
    # The target entropy is - 2 / 2, the temperature 1.
    assert got["temperature_loss"].item() == pytest.approx(-(log_prob.mean().item() - 1), rel=1e-4)


@pytest.mark.parametrize("entropy_backup", [True, False])
def test_update_is_that_of_the_authors_step_by_step(entropy_backup):
    """Three critic steps on consecutive slices, each with its targets moved, then the actor on the last."""
    config = dataclasses.replace(SMALL, entropy_backup=entropy_backup, temperature=0.5)
    fast, plain, batch = make(config), make(config), batch_of()
    networks = [plain.q, plain.actor, plain.temperature]
    for network in networks:  # off the flat tensors
        for p in network.parameters():
            p.data, p.grad = p.data.clone(), None
    adams = [torch.optim.Adam(network.parameters(), lr=1e-2) for network in networks]
    fast.update(batch)
    noise = torch.randn(60, 2, generator=plain._generator)
    for start in (0, 20, 40):
        part = slice_batch(batch, start, start + 20)
        with torch.no_grad():
            policy = plain.actor(part.next_observations)
            actions, log_prob = squash(*policy, noise[start : start + 20])
        bonus = -0.5 * log_prob if entropy_backup else torch.zeros(20)
        members = torch.randperm(4, generator=plain._generator)[:2]
        pairs = torch.cat([part.next_observations, actions], 1)
        adams[0].zero_grad()
        plain.critic_losses(part, pairs, bonus, members)["critic_loss"].backward()
        adams[0].step()
        for target, p in zip(plain.target_q.parameters(), plain.q.parameters(), strict=True):
            target.data = 0.9 * target.data + 0.1 * p.data
    losses = plain.actor_losses(part.observations, torch.randn(20, 2, generator=plain._generator))
    for adam, name in zip(adams[1:], ("actor_loss", "temperature_loss"), strict=True):
        adam.zero_grad()
        losses[name].backward()
    for adam in adams[1:]:
        adam.step()
    for name in ("q", "target_q", "actor", "temperature"):
        both = zip(getattr(fast, name).parameters(), getattr(plain, name).parameters(), strict=True)
        for mine, theirs in both:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "own"), [("actor_loss", "actor"), ("temperature_loss", "temperature"), ("critic_loss", "q")]
)
def test_gradients_stay_in_their_network(loss, own):
    learner, batch, zeros = make(), batch_of(), torch.zeros(60)
    losses = learner.actor_losses(batch.observations, torch.zeros(60, 2))
    losses |= learner.critic_losses(batch, batch.observations_actions, zeros, torch.tensor([0, 1]))
    losses[loss].backward()
    moved = {
        name
        for name in ("q", "target_q", "actor", "temperature")
        if any(p.grad is not None and p.grad.any() for p in getattr(learner, name).parameters())
    }
    assert moved == {own}


def test_critics_are_normalised_and_droq_drops_units():
    plain, layered = make(dataclasses.replace(SMALL, layer_norm=False)), make()
    assert len(layered.q.scales) == 2 and len(plain.q.scales) == 0
    dropping = make(droq(hidden=(8, 8), dropout=0.5, utd=1))
    assert (dropping.config.critics, dropping.config.subset, len(dropping.q.scales)) == (2, 2, 2)
    assert (droq().dropout, droq().utd) == (0.01, 20)
    batch, members = batch_of(), torch.tensor([0, 1])
    losses = [
        dropping.critic_losses(batch, batch.observations_actions, torch.zeros(60), members)[
            "critic_loss"
        ].item()
        for _ in range(2)
    ]
    assert losses[0] != losses[1]
    dropping.update(batch)


@pytest.mark.parametrize("config", [SMALL, droq(hidden=(8, 8), utd=3)])
def test_state_continues_exactly(config):
    learner, other, batch = make(config), make(config, seed=1), batch_of()
    learner.update(batch)
    other.load_state_dict({name: tensor.clone() for name, tensor in learner.state_dict().items()})
    other._generator.set_state(learner._generator.get_state())  # as the loop does, which owns it
    learner.update(batch)
    other.update(batch)
    assert other.step == 2
    for name, tensor in learner.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"subset": 5}, r"subset must be 1 to the number of critics \(4\), not 5"),
        ({"utd": 0}, "utd must be at least 1"),
        ({"dropout": 1.0}, "dropout must be a share from 0 to below 1"),
        ({"temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_settings_are_checked(change, told):
    with pytest.raises(BadInput, match=told):
        dataclasses.replace(SMALL, **change)


def test_a_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(BadInput, match="a batch of 50 transitions cannot be cut in utd=3"):
        make().update(batch_of(50))


def test_symmetric_batches_interleave():
    table = TransitionTable(random_transitions(), 0.9)
    old, new = table.rows(torch.arange(3)), table.rows(torch.arange(10, 13))
    both = symmetric(old, new)
    for name in both._fields:
        mixed = getattr(both, name)
        assert torch.equal(mixed[0::2], getattr(old, name)) and torch.equal(mixed[1::2], getattr(new, name))
    without = TransitionTable(random_transitions()).rows(torch.arange(3))
    assert symmetric(old, without).mc_returns is None
    with pytest.raises(BadInput, match="same size, not 3 and 4"):
        symmetric(old, table.rows(torch.arange(4)))


def line_distance(seed, control):
    """How far from the goal RLPD ends: 200 rounds of 32 steps and an update, half on prior data."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    config = RLPDConfig(hidden=(32, 32), discount=0.9, critics=4, utd=4, learning_rate=3e-3, temperature=0.1)
    learner, x, online = RLPD(1, 1, config, generator), rng.uniform(-1, 1, (32, 1)).astype(np.float32), []

    def rewards(after):
        found = -abs(after - GOAL)[:, 0]
        return (rng.permutation(found) if control else found).astype(np.float32)

    prior = line_transitions(500, seed)
    prior = TransitionTable(dataclasses.replace(prior, rewards=rewards(prior.next_observations)))
    ones, frame = np.ones(32, np.float32), np.arange(32)
    for _ in range(200):
        action = learner.act(torch.from_numpy(x), generator).numpy()
        after = move(x, action).astype(np.float32)
        online.append(Transitions(x, action, rewards(after), ones, after, ones > 0, frame))
        x = np.where(rng.uniform(size=(32, 1)) < 0.1, rng.uniform(-1, 1, (32, 1)), after).astype(np.float32)
        new = Transitions(*(np.concatenate(column) for column in zip(*map(columns, online), strict=True)))
        sizes = 4 * 32, generator
        learner.update(symmetric(prior.sample(*sizes), TransitionTable(new).sample(*sizes)))
    x = np.linspace(-1, 1, 21, dtype=np.float32)[:, None]
    for _ in range(20):
        x = move(x, torch.tanh(learner.actor(torch.from_numpy(x).float())[0]).detach().numpy())
    return float(abs(x - GOAL).mean())


def columns(t):
    """The arrays of transitions."""
    return [getattr(t, field.name) for field in dataclasses.fields(t) if field.name != "dropped"]


def test_it_reaches_the_goal_and_with_shuffled_rewards_it_does_not():
    learned, control = ([line_distance(seed, kind) for seed in range(3)] for kind in (False, True))
    assert max(learned) < 0.1 < 0.2 < min(control)
