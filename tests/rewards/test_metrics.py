"""Metrics against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.rewards.metrics import accuracy_by_gap


def test_accuracy_by_gap_by_hand() -> None:
    gap = np.array([1.0, 2.0, -5.0, 6.0, 3.0, -1.0, 0.0])
    difference = np.array([-1.0, 2.0, -2.0, 2.0, 1.0, 1.0, 0.0])  # wrong on the first and the last but one
    found = accuracy_by_gap(difference, gap)
    assert found.overall == pytest.approx(4 / 6)
    assert found.clear == 1.0
    np.testing.assert_array_equal(found.by_bin, [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(found.count, [2, 2, 2])
    assert accuracy_by_gap(difference, gap, bins=1).clear == 1.0


def test_no_difference_counts_one_half() -> None:
    assert accuracy_by_gap(np.array([0.0, 1.0]), np.array([3.0, -1.0])).overall == 0.25


def test_without_a_gap_there_is_nothing_to_be_right_about() -> None:
    assert np.isnan(accuracy_by_gap(np.array([0.4]), np.zeros(1)).overall)


@pytest.mark.parametrize(
    ("bad", "named"), [({"bins": 0}, "bins"), ({"difference": np.zeros(2)}, "difference")]
)
def test_bad_input_is_named(bad: dict, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        accuracy_by_gap(**({"difference": np.ones(3), "gap": np.ones(3)} | bad))
