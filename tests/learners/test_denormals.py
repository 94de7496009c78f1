"""Numbers next to zero are zero while a learner computes, and numbers again afterwards."""

import pytest
import torch

from robot_rl.learners.denormals import flushed_denormals

TINY = 1e-40  # below float32's smallest normal number, 1.2e-38


def halved() -> float:
    return float((torch.full((64,), TINY) * 0.5).sum())


def test_only_inside():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor does not flush")
    before = halved()
    with flushed_denormals():
        assert halved() == 0.0
    assert halved() == before > 0.0
    with pytest.raises(ValueError), flushed_denormals():
        raise ValueError
    assert halved() == before
