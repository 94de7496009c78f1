"""An orientation made from gravity is read back as the same gravity."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from robot_rl.deploy.gravity import OrientingWriter, orientation_of
from robot_rl.deploy.interface import SourceReader
from robot_rl.specs.robot_contract import load_contract

DIRECTIONS = ([0, 0, -1], [0, 0, 1], [1, 0, 0], [0, -1, 0], [0.6, 0, -0.8], [0.48, -0.6, 0.64])


def test_upright_is_no_rotation_and_a_roll_is_one_about_x():
    np.testing.assert_allclose(orientation_of(np.array([0, 0, -1])), [1, 0, 0, 0])
    # Rolled by +90 degrees (about x, forward), the left side is up: gravity points to the right, -y.
    np.testing.assert_allclose(orientation_of(np.array([0, -1, 0])), [0.5**0.5, 0.5**0.5, 0, 0])


@pytest.mark.parametrize("gravity", DIRECTIONS)
def test_the_contract_of_sim_go2_reads_what_it_writes(gravity):
    source = load_contract("sim_go2").sources["imu"]
    message = SimpleNamespace(
        orientation=SimpleNamespace(w=0.0, x=0.0, y=0.0, z=0.0),
        angular_velocity=SimpleNamespace(x=0.0, y=0.0, z=0.0),
    )
    values = dict(zip(source.parts, [0.1, 0.2, 0.3, *map(float, gravity)], strict=True))
    found = SourceReader(source)(OrientingWriter(source)(message, values))
    assert found == pytest.approx(values, abs=1e-9)
