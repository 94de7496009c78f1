"""What every Policy must do; its tests call `check_policy`."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.policies.policy import Policy


def check_policy(policy: Policy) -> None:
    """Actions have the right shapes, keep to the limits, repeat after reset, and bad states are refused."""
    spec = policy.spec
    size, low, high = len(spec.state_names), np.float32(spec.action_low), np.float32(spec.action_high)
    states = np.random.default_rng(0).normal(scale=100, size=(5, size)).astype(np.float32)
    policy.reset()
    one = policy.act(states[0])
    assert one.shape == (len(spec.action_names),) and one.dtype == np.float32
    policy.reset()
    np.testing.assert_array_equal(policy.act({"state": states[0]}), one)
    policy.reset()
    many = policy.act(states)
    assert many.shape == (5, len(spec.action_names))
    assert (many >= low).all() and (many <= high).all()
    for bad in (states[0, :-1], states[None], np.float32(0)):
        with pytest.raises(BadInput, match="state has shape"):
            policy.act(bad)
    with pytest.raises(BadInput, match="observation has no 'state'"):
        policy.act({"stat": states[0]})
    with pytest.raises(BadInput, match=f"state '{spec.state_names[-1]}' is not finite"):
        policy.act(np.where(np.arange(size) == size - 1, np.nan, states[0]))
