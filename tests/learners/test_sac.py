"""The losses of Soft Actor-Critic against arithmetic on paper."""

import pytest
import torch

from robot_rl.learners import sac


def test_td_target():
    # 1 + .5 * 1 * 4 = 3 and, terminated, 2 + .5 * 0 * 4 = 2
    next_value = torch.tensor([4.0, 4.0], requires_grad=True)
    target = sac.td_target(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]), next_value, 0.5)
    assert target.tolist() == [3, 2] and not target.requires_grad


def test_soft_value():
    # 3 - .5 * -2 = 4
    assert sac.soft_value(torch.tensor([3.0]), torch.tensor([-2.0]), torch.tensor([0.5])).item() == 4


def test_actor_loss():
    # ((.5 * 2 - 3) + (.5 * -4 - 1)) / 2 = (-2 - 3) / 2
    loss = sac.actor_loss(torch.tensor([3.0, 1.0]), torch.tensor([2.0, -4.0]), torch.tensor([0.5]))
    assert loss.item() == -2.5


@pytest.mark.parametrize(("log_prob", "direction"), [(3.0, 1), (-3.0, -1)])
def test_the_temperature_rises_where_the_entropy_is_below_its_target(log_prob, direction):
    temperature = sac.Temperature(0.5)
    values = torch.full((2,), log_prob, requires_grad=True)
    loss = sac.temperature_loss(temperature(), values, -1.0)
    # - .5 * (3 - 1) = -1 and - .5 * (-3 - 1) = 2; by the logarithm, the gradient is the loss itself.
    assert loss.item() == pytest.approx(-1 if direction > 0 else 2)
    loss.backward()
    assert temperature.log.grad.item() == pytest.approx(loss.item()) and values.grad is None
