"""What counts as a number; the rest of the sources is tested through the guard."""

import math

import numpy as np
import pytest

from robot_rl.deploy.sources import is_finite


@pytest.mark.parametrize("value", [0, -1.5, np.float32(2), 10**300, True])
def test_numbers(value):
    assert is_finite(value)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, None, "x", [], {}, 1j, 10**400, np.zeros(2)]
)
def test_what_is_none(value):
    assert not is_finite(value)
