"""Magnitudes against units: worked cases, and names without a unit."""

import numpy as np
import pytest

from robot_rl.data.findings.types import Place
from robot_rl.data.findings.units import suspicion, wrong_units
from tests.data.findings.made import signal


@pytest.mark.parametrize(
    ("name", "unit", "most", "told"),
    [
        ("left_elbow", "rad", 3.1, None),
        ("left_elbow", "rad", 90, "degrees, not radians"),
        ("kLeftShoulderPitch", "", 45, "degrees, not radians"),
        ("kLeftShoulderPitch", "", 1.5, None),
        ("elbow", "deg", 90, None),
        ("elbow", "deg", 1.2, "radians, not degrees"),
        ("elbow_velocity", "", 90, None),
        ("elbow_velocity", "rad/s", 200, "degrees a second, not radians"),
        ("hand_x", "m", 0.5, None),
        ("hand_x", "m", 350, "millimetres, not metres"),
        ("hand_x", "", 350, "millimetres, not metres"),
        ("base_x", "m", 350, None),
        ("pixel_x", "", 350, None),
        ("hand_x", "mm", 350, None),
        ("hand_x", "mm", 0.35, "metres, not millimetres"),
        ("force_z", "", 120, None),
        ("state_3", "", 500, None),
    ],
)
def test_suspicion(name, unit, most, told):
    assert suspicion(name, unit, most) == told


def test_the_finding_names_channels_and_the_largest_value():
    values = np.zeros((6, 3))
    values[4] = [0.1, 90, -120]
    [found] = wrong_units(signal("state", values, 2, ["hand_x", "elbow", "wrist"], ["m", "rad", "rad"]))
    assert found.level == "warning" and found.channel == "state"
    assert "elbow, wrist: up to 120 in rad looks like degrees" in found.what
    assert found.places == (Place(11, 1, 1),)
    [found] = wrong_units(signal("state", values[:, 1:2], 2, ["elbow"]))
    assert found.level == "note" and "no unit is given" in found.what


def test_three_small_angles_in_degrees_speak_and_two_do_not():
    values = np.full((4, 3), 0.5)
    assert len(wrong_units(signal("state", values, 1, "abc", ["deg"] * 3))) == 1
    assert wrong_units(signal("state", values[:, :2], 1, "ab", ["deg"] * 2)) == []
