"""A policy that is told the task: what it sees, by hand."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.policies.conditioning import TaskPolicy, View, measured, tasks_of

NAMES = ("x", "angle", "task.open", "task.close")


def test_the_parts_that_name_a_task():
    assert tasks_of(NAMES) == ("open", "close") and measured(NAMES) == ("x", "angle")
    assert tasks_of(("x",)) == ()


def test_a_view_orders_the_parts_adds_the_task_and_fills_what_is_missing():
    view = View(NAMES, "close", ("speed", "x"))  # this source measures no angle
    np.testing.assert_array_equal(view(np.float32([5, 2])), np.float32([2, 0, 0, 1]))
    np.testing.assert_array_equal(view(np.float32([[5, 2], [6, 3]]))[:, 0], [2, 3])
    np.testing.assert_array_equal(View(NAMES, "open", ("angle", "x"))(np.float32([5, 2])), [2, 5, 1, 0])


def test_a_policy_of_one_task_sees_what_it_names():
    np.testing.assert_array_equal(View(("y",), "any", ("x", "y"))(np.float32([1, 2])), [2])
    assert View((), "any", ("x",))(np.float32([1])).shape == (0,)


def test_what_cannot_be():
    with pytest.raises(BadInput, match="was not trained for task 'opn'. Did you mean 'open'"):
        View(NAMES, "opn", ("x",))
    with pytest.raises(BadInput, match="the policy sees 'y'. .*Known: x"):
        View(("y",), "any", ("x",))


class Echo:
    """A policy that acts what it sees."""

    spec = type("Spec", (), {"state_names": NAMES})
    was_reset = False

    def act(self, state):
        return state

    def reset(self):
        self.was_reset = True


def test_a_policy_under_one_instruction_is_given_what_is_measured():
    echo = Echo()
    policy = TaskPolicy(echo, "open", ("x", "angle"))
    np.testing.assert_array_equal(policy.act({"state": np.float32([3, 4])}), [3, 4, 1, 0])
    policy.reset()
    assert echo.was_reset
