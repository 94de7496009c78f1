"""Settings of the labeler human: what is refused, and how it is said."""

import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.human.config import HumanConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raters": ()}, "raters: is empty"),
        ({"raters": ("anna", "an na")}, "raters: 'an na' is no name; use 1 to 40 letters"),
        ({"raters": ("../x",)}, "is no name"),
        ({"raters": ("x" * 41,)}, "is no name"),
        ({"raters": ("ben\n",)}, "is no name"),
        ({"raters": ("Anna", "anna")}, "raters: 'Anna' and 'anna' are alike"),
        ({"host": " "}, "host: is empty; give 127.0.0.1"),
        ({"port": 70_000}, r"port: must be in \[0, 65535\], not 70000"),
        ({"shared": float("nan")}, r"shared: must be in \[0, 1\], not nan"),
        ({"shared": 20}, r"shared: must be in \[0, 1\], not 20"),
        ({"grace": -1}, "grace: must be in"),
        ({"seed": -1}, "seed: must be in"),
    ],
)
def test_a_bad_value_is_named_with_its_rule(changes, message):
    with pytest.raises(BadInput, match=message) as error:
        HumanConfig(**changes)
    assert "\n" not in str(error.value)


def test_names_may_hold_digits_and_some_marks():
    assert HumanConfig(raters=["anna", "b.e-n_2", "x" * 40]).raters == ("anna", "b.e-n_2", "x" * 40)
    assert HumanConfig(raters="anna").raters == ("anna",)
