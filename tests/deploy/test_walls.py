"""Walls, by hand: what a reading of some age leaves of the way."""

import numpy as np
import pytest

from robot_rl.deploy.walls import Walls
from tests.deploy.contracts import velocity_contract

# Control at 10 Hz, so that room must last for 0.2 s; the brakes are so strong that they take no way.


def walls(low=-1.0, high=1.0):
    return Walls(velocity_contract(wall=(low, high), rate_limit=1e9))


def allowed(wall, wish, x, age=0.0):
    measured = {} if x is None else {"x": x}
    return wall(np.array([wish]), measured, {"x": age})[0]


def test_room_divided_by_the_time_it_must_last():
    assert allowed(walls(), 9.0, 0.9) == pytest.approx(0.5, rel=1e-3)
    assert allowed(walls(), -9.0, 0.9) == -9.0
    assert allowed(walls(), -9.0, -0.96) == pytest.approx(-0.2, rel=1e-3)


def test_way_to_brake():
    wall = Walls(velocity_contract(wall=(-1.0, 1.0), rate_limit=2.0))
    # v 0.2 + v²/4 = 1.2 at v = 1.828
    assert allowed(wall, 9.0, -0.2) == pytest.approx(1.8276, abs=1e-3)


@pytest.mark.parametrize("wish", [1.0, -1.0, np.inf])
def test_a_part_never_measured_lets_nothing_through(wish):
    assert allowed(walls(), wish, None) == 0.0


def test_beyond_a_wall_only_back():
    assert allowed(walls(), 1.0, 1.5) == 0.0
    assert allowed(walls(), -1.0, 1.5) == -1.0


def test_what_was_commanded_since_the_reading_is_taken_off():
    wall = walls()
    for command, seconds in ((9.0, 5.0), (2.0, 0.1), (1.0, 0.2)):  # the last is the newest
        wall.sent(np.array([command]), seconds)
    # In the last 0.25 s: 0.2 s of 1 m/s and 0.05 s of 2 m/s. 0.6 m less 0.3 m, for 0.2 s.
    assert allowed(wall, 9.0, 0.4, age=0.25) == pytest.approx(1.5, rel=1e-3)
    assert allowed(wall, 9.0, 0.4, age=0.0) == pytest.approx(3.0, rel=1e-3)


def test_a_reading_of_unknown_age_after_the_robot_rested_for_ever():
    wall = walls()
    wall.sent(np.array([0.0]), np.inf)
    assert allowed(wall, 9.0, 0.9, age=np.inf) == pytest.approx(0.5, rel=1e-3)


def test_the_way_back_is_not_counted_as_room():
    wall = walls()
    wall.sent(np.array([-1.0]), 0.1)
    assert allowed(wall, 9.0, 0.9, age=0.1) == pytest.approx(0.5, rel=1e-3)
    assert allowed(wall, -9.0, -0.9, age=0.1) == 0.0
