"""What a dataset says about its policy."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.learners.describe import data_limits, describe_policy
from tests.conftest import ACTION_NAMES, write_tiny


def test_limits_of_the_data_are_widened_by_a_hundredth():
    # Range 2 to 6: widened by .04. A constant 1: widened by .001.
    low, high = data_limits(np.float32([[2, 1], [6, 1]]))
    np.testing.assert_allclose(low, [1.96, 0.999])
    np.testing.assert_allclose(high, [6.04, 1.001])


def test_units_decide_the_limits(tmp_path):
    actions = np.float32([[0, 0, 0, 0], [3, 3, 3, 3]])
    units = {"state_units": ["rad"] * 7, "action_units": ["1"] * 4, "task": "drawer"}
    known = describe_policy(write_tiny(tmp_path / "a", 2, metadata=units), actions, "next.reward")
    assert known.action_high == (1,) * 4 and known.state_units == ("rad",) * 7 and known.task == "drawer"
    assert known.reward_source == "next.reward" and known.task_text == "open the drawer"
    unknown = describe_policy(write_tiny(tmp_path / "b", 2), actions)
    assert unknown.action_high == pytest.approx((3.03,) * 4) and unknown.action_units == ("",) * 4
    assert unknown.action_names == tuple(ACTION_NAMES) and unknown.fps == 10
    wrong = write_tiny(tmp_path / "c", 2, metadata={"action_units": ["m"]})
    with pytest.raises(BadInput, match="action_units is .* it must list 4 units"):
        describe_policy(wrong, actions)
