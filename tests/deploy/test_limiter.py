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
