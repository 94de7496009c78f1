"""The loss against hand-worked numbers, and what the networks promise."""

from __future__ import annotations

import math

import pytest
import torch

from robot_rl.rewards.heads import init_heads, label_loss, noise_of, rewards_of

LOG3 = math.log(3)  # sigmoid(log 3) = 3/4


@pytest.mark.parametrize(
    ("difference", "p", "noise", "q"),
    [
        (0.0, 1.0, 0.0, 0.5),
        (LOG3, 1.0, 0.0, 0.75),
        (LOG3, 0.0, 0.0, 0.75),
        (-LOG3, 1.0, 0.0, 0.25),
        (LOG3, 0.5, 0.0, 0.75),  # a tie
        (LOG3, 0.8, 0.0, 0.75),  # a soft label
        (LOG3, 1.0, 0.1, 0.7),  # 0.8 * 0.75 + 0.1
        (LOG3, 0.0, 0.1, 0.7),
        (-LOG3, 0.5, 0.1, 0.3),
    ],
)
def test_the_loss_by_hand(difference: float, p: float, noise: float, q: float) -> None:
    expected = -(p * math.log(q) + (1 - p) * math.log(1 - q))
    found = label_loss(torch.tensor(difference), torch.tensor(p), torch.tensor(noise))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_three_numbers_worked_out() -> None:
    p = torch.tensor([1.0, 0.5, 1.0])
    noise = torch.tensor([0.0, 0.0, 0.1])
    found = label_loss(torch.full((3,), LOG3), p, noise)
    torch.testing.assert_close(found, torch.tensor([0.287682, 0.836988, 0.356675]), atol=1e-5, rtol=0)


def test_a_tie_pulls_the_rewards_together_and_leaves_equal_ones_exactly_alone() -> None:
    difference = torch.tensor([0.0, 1.0, -1.0], requires_grad=True)
    noise = noise_of(torch.tensor(-2.0))
    label_loss(difference, torch.tensor(0.5), noise).sum().backward()
    assert difference.grad[0] == 0
    assert difference.grad[1] > 0 > difference.grad[2]


def test_the_loss_stays_finite_far_out() -> None:
    far = label_loss(torch.tensor([1e4, -1e4]), torch.tensor(0.0), torch.tensor(0.0))
    assert torch.isfinite(far).all()


def test_noise_lies_below_one_half() -> None:
    torch.testing.assert_close(noise_of(torch.tensor([-100.0, 0.0, 100.0])), torch.tensor([0, 0.25, 0.5]))


def test_each_member_by_hand() -> None:
    weights = {
        "weight_0": torch.tensor([[[1.0, -1.0]], [[2.0, 0.0]]]),  # (K = 2, F = 1, 2)
        "bias_0": torch.tensor([[[0.0, 1.0]], [[0.0, 3.0]]]),
        "weight_1": torch.tensor([[[1.0], [10.0]], [[1.0], [1.0]]]),
    }
    features = torch.tensor([[[2.0], [-2.0]]]).expand(2, -1, -1)
    # Member 0: relu(2, -1) = (2, 0) -> 2; relu(-2, 3) = (0, 3) -> 30. Member 1: (4, 3) -> 7; (0, 3) -> 3.
    assert rewards_of(weights, features).tolist() == [[2.0, 30.0], [7.0, 3.0]]


def test_all_rewards_are_equal_at_the_start() -> None:
    weights = init_heads(2, (4, 8, 8, 1), torch.Generator().manual_seed(0))
    assert rewards_of(weights, torch.randn(2, 5, 4)).abs().max() == 0
    assert weights["weight_0"][0].ne(weights["weight_0"][1]).all()
