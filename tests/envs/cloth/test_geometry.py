"""Depth of an arm in a ring of cloth, against what can be read off by hand."""

import numpy as np
import pytest

from robot_rl.envs.cloth.geometry import depth_in_ring

# A square ring, 2 wide, in the plane x = 0.
RING = np.array([[0.0, 1, 1], [0, 1, -1], [0, -1, -1], [0, -1, 1]])


@pytest.mark.parametrize(
    ("axis", "depth"),
    [
        ([[-3, 0.1, 0.2], [2, 0.1, 0.2]], 3.0),  # straight through
        ([[-3, 0.1, 0.2], [-1, 0.1, 0.2]], 0.0),  # ends before the ring
        ([[-3, 1.5, 0], [2, 1.5, 0]], 0.0),  # beside it
        ([[-3, 0.1, 0.2], [-1, 0.1, 0.2], [2, 0.1, 0.2]], 3.0),  # through with the second segment
        ([[-1, 0.1, 0.2], [1, 0.1, 0.2], [1, 0.3, 0.2], [-1, 0.3, 0.2]], 3.2),  # back through: the farthest
        ([[0, 0.1, 0.5], [0, 0.1, 3]], 0.0),  # within the ring's own plane
    ],
)
def test_depth(axis, depth):
    assert depth_in_ring(RING, np.array(axis, float)) == pytest.approx(depth)


def test_the_ring_may_be_tilted_and_dented():
    tilted = RING + np.outer(RING[:, 1], [0.5, 0, 0])  # x = y / 2
    assert depth_in_ring(tilted, np.array([[-3.0, 0.4, 0], [2, 0.4, 0]])) == pytest.approx(3.2)
    dented = RING + np.array([[4.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])  # the centre moves to x = 1
    assert depth_in_ring(dented, np.array([[-3.0, -1e-6, 0], [5, -1e-6, 0]])) == pytest.approx(4, abs=1e-4)
