"""Actions to explore with: samples around the policy's own, inside the limits, by the generator."""

import pytest
import torch

from robot_rl.learners.bc import BC, BCConfig, scheduled
from robot_rl.learners.iql import IQL, IQLConfig
from robot_rl.learners.prepare import ACTION_BOUND


@pytest.mark.parametrize(("learner", "config"), [(IQL, IQLConfig), (BC, BCConfig)])
def test_actions_are_drawn_around_the_policys_own(learner, config):
    learner = learner(3, 2, config(steps=10, hidden=(8,)), torch.Generator().manual_seed(0))
    with torch.no_grad():
        learner.actor.log_std.copy_(torch.tensor([0.1, 0.2]).log())
    states = torch.zeros(20_000, 3)
    actions = learner.act(states, torch.Generator().manual_seed(1))
    assert actions.shape == (20_000, 2) and not actions.requires_grad
    torch.testing.assert_close(actions.mean(0), torch.zeros(2), atol=0.01, rtol=0)
    torch.testing.assert_close(actions.std(0), torch.tensor([0.1, 0.2]), atol=0.01, rtol=0)
    assert torch.equal(actions, learner.act(states, torch.Generator().manual_seed(1)))
    with torch.no_grad():
        learner.actor.log_std.fill_(9.0)  # far beyond what the actor's density allows
    assert learner.act(states, torch.Generator()).abs().max() == pytest.approx(ACTION_BOUND)


def test_the_learning_rate_falls_to_zero_or_stays_or_rises_again():
    for cls in (IQLConfig, BCConfig):
        falling = cls(steps=4, learning_rate=2.0)
        assert [scheduled(falling, step) for step in (0, 2, 4)] == pytest.approx([2, 1, 0])
        assert scheduled(cls(steps=4, learning_rate=2.0, schedule="constant"), 4) == 2
        rising = cls(steps=4, learning_rate=2.0, schedule="rising")
        assert [scheduled(rising, 4 + step) for step in (0, 500, 2000, 3000)] == [0, 0.5, 2, 2]
