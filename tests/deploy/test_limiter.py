"""Limits: values worked by hand, and random wishes that try to break them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rl.deploy.limiter import Limiter, brakeable
from tests.deploy.contracts import position_contract, velocity_contract

EPS = 1e-9


def test_brakeable_by_hand():
    # v dt + v²/2a = gap: 1·0.5 + 1/(2·2) = 0.75
    assert brakeable(0.75, 2.0, 0.5) == pytest.approx(1.0)
    assert brakeable(0.75, np.inf, 0.5) == pytest.approx(1.5)
    assert brakeable(-1.0, 2.0, 0.5) == 0


def test_rate_and_value_by_hand():
    limiter = Limiter(position_contract(rate_limit=2.0, low=-1, high=1, control_rate=10))
    limiter.rest_at(np.array([0.0]))
    first = limiter(np.array([5.0]), 0.1, {})
    assert first.command == pytest.approx([0.2]) and first.hits == ("a",)
    assert limiter(np.array([0.3]), 0.1, {}).command == pytest.approx([0.3])
    assert limiter(np.array([0.3]), 0.1, {}).hits == ()
    # Half a period allows half the way, and a long silence no more than one period's.
    assert limiter(np.array([5.0]), 0.05, {}).command == pytest.approx([0.4])
    assert limiter(np.array([5.0]), 3.0, {}).command == pytest.approx([0.6])
    for _ in range(5):
        last = limiter(np.array([5.0]), 0.1, {})
    assert last.command == pytest.approx([1.0])


def test_acceleration_by_hand():
    limiter = Limiter(
        position_contract(rate_limit=9.0, acceleration_limit=10.0, low=-9, high=9, control_rate=10)
    )
    limiter.rest_at(np.array([0.0]))
    # The speed may grow by 1 a period: 0.1, 0.1 + 0.2, 0.1 + 0.2 + 0.3
    assert limiter(np.array([8.0]), 0.1, {}).command == pytest.approx([0.1])
    assert limiter(np.array([8.0]), 0.1, {}).command == pytest.approx([0.3])
    assert limiter(np.array([8.0]), 0.1, {}).command == pytest.approx([0.6])
    # A wish to turn round brakes by 1 a period.
    assert limiter(np.array([-8.0]), 0.1, {}).command == pytest.approx([0.8])


def test_authority_scales_the_rate():
    limiter = Limiter(position_contract(rate_limit=2.0, low=-1, high=1, control_rate=10))
    limiter.rest_at(np.array([0.0]))
    assert limiter(np.array([1.0]), 0.1, {}, authority=0.25).command == pytest.approx([0.05])
    assert limiter(np.array([1.0]), 0.1, {}, authority=0.0).command == pytest.approx([0.05])


def test_a_wall_lets_nothing_through_it():
    limiter = Limiter(velocity_contract(wall=(-0.1, 0.1), rate_limit=5.0, control_rate=100))
    x = 0.0
    for _ in range(300):
        x += limiter(np.array([1.0]), 0.01, {"x": x}).command[0] * 0.01
    assert 0.09 < x <= 0.1
    assert limiter(np.array([1.0]), 0.01, {"x": 0.2}).command[0] <= 0
    limiter.rest_at(np.array([0.0]))
    assert limiter(np.array([-1.0]), 0.01, {"x": 0.2}).command[0] < 0  # back inside is allowed


finite = st.floats(-1e6, 1e6)


@settings(max_examples=150, deadline=None)
@given(
    low=st.floats(-3, 0.5),
    width=st.floats(0.1, 5),
    rate=st.floats(0.05, 50),
    acceleration=st.none() | st.floats(0.1, 500),
    start=st.floats(0, 1),
    wishes=st.lists(st.tuples(finite, st.floats(0, 0.3), st.floats(0, 1)), min_size=1, max_size=60),
)
def test_no_wish_breaks_a_limit(low, width, rate, acceleration, start, wishes):
    high = low + width
    contract = position_contract(
        low=low, high=high, rate_limit=rate, acceleration_limit=acceleration, control_rate=10
    )
    limiter = Limiter(contract)
    limiter.rest_at(np.array([low + start * width]))
    last, speed = limiter.last.copy(), np.zeros(1)
    for wish, elapsed, authority in wishes:
        dt = min(max(elapsed, 1e-6), 0.1)
        speed = speed if elapsed <= 0.2 else np.zeros(1)  # it came to rest at the last command
        command = limiter(np.array([wish]), elapsed, {}, authority).command
        now = (command - last) / dt
        assert low <= command[0] <= high
        assert abs(now[0]) <= rate * (1 + 1e-6) + EPS / dt
        if acceleration is not None:
            assert abs(now[0] - speed[0]) <= acceleration * dt * (1 + 1e-6) + EPS / dt
        last, speed = command, now


@pytest.mark.parametrize("acceleration", [0.5, 3.0, 40.0])
def test_a_position_comes_to_rest_at_its_wish_without_passing_it(acceleration):
    limiter = Limiter(position_contract(rate_limit=2.0, acceleration_limit=acceleration, low=-9, high=9))
    limiter.rest_at(np.array([0.0]))
    commands = [limiter(np.array([1.0]), 0.1, {}).command[0] for _ in range(200)]
    assert max(commands) <= 1.0 + EPS and commands[-1] == pytest.approx(1.0, abs=1e-6)
    assert all(b >= a - EPS for a, b in zip(commands[:-1], commands[1:], strict=True))


def test_a_wish_that_is_no_number_leaves_the_command_and_is_a_hit():
    limiter = Limiter(position_contract())
    limiter.rest_at(np.array([0.3]))
    limited = limiter(np.array([np.nan]), 0.1, {})
    assert limited.command == pytest.approx([0.3]) and limited.hits == ("a",)


@pytest.mark.parametrize("wish", [np.inf, 1e308, -np.inf, -1e308])
def test_endless_wishes_move_at_the_rate(wish):
    limiter = Limiter(position_contract(rate_limit=2.0, acceleration_limit=1e9))
    limiter.rest_at(np.array([0.0]))
    with np.errstate(all="raise"):
        assert limiter(np.array([wish]), 0.1, {}).command == pytest.approx([np.copysign(0.2, wish)])


@pytest.mark.parametrize("elapsed", [0.0, -5.0, 1e-300, np.nan])
def test_no_time_gives_no_way(elapsed):
    limiter = Limiter(position_contract(rate_limit=2.0))
    limiter.rest_at(np.array([0.0]))
    assert limiter(np.array([1.0]), elapsed, {}).command == pytest.approx([0.0], abs=1e-5)


@pytest.mark.parametrize(
    "numbers", [(-1e9, 1e9, 1e9, 1e9), (-1e9, 1e9, 1e-9, 1e-300), (0.0, 1e-9, 1e9, 1e-9)]
)
def test_the_largest_and_smallest_numbers_of_a_contract(numbers):
    low, high, rate, acceleration = numbers
    limiter = Limiter(position_contract(low=low, high=high, rate_limit=rate, acceleration_limit=acceleration))
    limiter.rest_at(np.array([high]))
    for wish in (-np.inf, 0.0, np.inf, 1e308, low):
        command = limiter(np.array([wish]), 0.1, {}).command[0]
        assert low <= command <= high and np.isfinite(limiter.speed).all()


def test_after_a_pause_a_position_speeds_up_from_rest():
    limiter = Limiter(position_contract(rate_limit=9.0, acceleration_limit=10.0, low=-9, high=9))
    limiter.rest_at(np.array([0.0]))
    for _ in range(3):
        limiter(np.array([8.0]), 0.1, {})  # 0.1, 0.3, 0.6
    assert limiter(np.array([8.0]), 0.3, {}).command == pytest.approx([0.7])  # not 0.6 + 0.4


def test_a_start_on_a_limit_moves_off_it_alone():
    limiter = Limiter(position_contract(low=0.0, high=1.0, rate_limit=2.0))
    limiter.rest_at(np.array([0.0]))
    assert limiter(np.array([-1.0]), 0.1, {}).command == [0.0]
    assert limiter(np.array([1.0]), 0.1, {}).command == pytest.approx([0.2])


def test_little_authority_speeds_up_slowly_and_brakes_fully():
    limiter = Limiter(velocity_contract(rate_limit=5.0))  # 0.5 a period
    limiter.rest_at(np.array([-0.4]))
    assert limiter(np.array([1.0]), 0.1, {}, authority=0.1).command == pytest.approx([0.0])
    assert limiter(np.array([1.0]), 0.1, {}, authority=0.1).command == pytest.approx([0.05])


def test_a_jerk_limit_bounds_how_fast_an_acceleration_changes():
    limiter = Limiter(velocity_contract(rate_limit=5.0, channel={"acceleration_limit": 10.0, "high": 9}))
    limiter.rest_at(np.array([0.0]))
    commands = [limiter(np.array([9.0]), 0.1, {}).command[0] for _ in range(3)]
    assert commands == pytest.approx([0.1, 0.3, 0.6])  # accelerations of 1, 2, 3 m/s²
