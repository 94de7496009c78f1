"""The discriminator's risk by hand, and that it tells two clouds apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from robot_rl.errors import BadInput
from robot_rl.rewards.discriminator import discriminator_reward, pu_risk


def test_the_risk_by_hand() -> None:
    zero, log3 = torch.zeros(1), torch.full((1,), math.log(3))
    # D = 1/2 everywhere: .5 log 2 + (log 2 - .5 log 2).
    assert pu_risk(zero, zero, 0.5).item() == pytest.approx(math.log(2))
    # D = 3/4 on experts, 1/4 on data: .5 log(4/3) + max(0, log(4/3) - .5 log 4) = .5 log(4/3).
    assert pu_risk(log3, -log3, 0.5).item() == pytest.approx(0.5 * math.log(4 / 3))
    # D = 1/4 on experts, 1/2 on data: .5 log 4 + log 2 - .5 log(4/3).
    expected = 0.5 * math.log(4) + math.log(2) - 0.5 * math.log(4 / 3)
    assert pu_risk(-log3, zero, 0.5).item() == pytest.approx(expected)


def test_it_separates_two_clouds() -> None:
    rng = np.random.default_rng(0)
    expert = rng.normal(2, 1, (200, 8)).astype(np.float32)
    good, bad = rng.normal(2, 1, (300, 8)), rng.normal(-2, 1, (700, 8))
    data = np.concatenate([good, bad]).astype(np.float32)
    before = torch.random.get_rng_state()
    reward = discriminator_reward(expert, data, seed=0)
    assert reward.shape == (1000,)
    assert reward.dtype == np.float32
    assert 0 <= reward.min() <= reward.max() <= 1
    assert reward[:300].min() > reward[300:].max()
    np.testing.assert_array_equal(discriminator_reward(expert, data, seed=0), reward)
    assert (discriminator_reward(expert, data, seed=1) != reward).any()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_of_two_encoders_do_not_mix() -> None:
    with pytest.raises(BadInput, match="data_features"):
        discriminator_reward(np.zeros((5, 3)), np.zeros((5, 4)), seed=0)
    with pytest.raises(BadInput, match="expert_features: nan at frame 0"):
        discriminator_reward(np.full((5, 3), np.nan), np.zeros((5, 3)), seed=0)
