"""Random robots, policies, sensors, clocks and people try to get a wrong command past the guard."""

import contextlib
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from robot_rl.deploy.guard import MOVING, Guard, Mode
from robot_rl.errors import BadInput
from tests.deploy.contracts import velocity_contract
from tests.deploy.promise import Promise, random_contract

anything = st.floats() | st.floats(-2, 2) | st.sampled_from([1e308, -1e308, 1e-308, None, "1", 10**400])
moments = st.sampled_from([0.0, 1e-4, 0.1, 0.45, 0.5, 0.9, 1.0, 1.1, 1.5, 2.1, 4.0]) | st.floats(0, 8)


class AttackedGuard(RuleBasedStateMachine):
    """Every order of events, in irregular time; times in periods of the control rate."""

    @initialize(rng=st.randoms(use_true_random=False), position=st.floats(-1.2, 1.2))
    def begin(self, rng, position):
        self.contract = random_contract(rng)
        self.guard, self.promise = Guard(self.contract), Promise(self.contract)
        self.now, self.wall, self.offset = 50.0, 1e9, 3.0
        self.actions, self.parts = list(self.contract.channels()), list(self.contract.state_parts())
        self.position, self.pressed, self.was_active = position, False, False

    @rule(periods=moments)
    def pass_time(self, periods):
        self.now += periods * self.contract.period
        self.wall += periods * self.contract.period

    @rule(jump=st.sampled_from([-3600.0, -0.5, 0.5, 3600.0]))
    def our_clock_is_set(self, jump):
        self.wall += jump

    @rule(late=st.sampled_from([0.0, 0.0, 0.5, 4.0, -4.0]))
    def sense(self, late):
        stamp = self.wall - late * self.contract.period
        values = dict.fromkeys(self.parts, self.position)
        self.guard.heard("x", values, stamp, self.wall, self.now)

    @rule(values=st.lists(anything, min_size=3, max_size=3), stamp=st.none() | st.floats())
    def sense_nonsense(self, values, stamp):
        self.guard.heard("x", dict(zip(self.parts, values, strict=False)), stamp, self.wall, self.now)

    @rule(position=st.floats(-3, 3))
    def move(self, position):
        self.position = position

    @rule(value=st.floats(-1e3, 1e3), policy=st.sampled_from(["a", "a", "a", "b"]))
    def wish(self, value, policy):
        self.guard.wished(dict.fromkeys(self.actions, value), self.wall, self.wall, self.now, policy)

    @rule(values=st.lists(anything, min_size=3, max_size=3), stamp=st.floats())
    def wish_nonsense(self, values, stamp):
        wish = dict(zip(self.actions, values, strict=False))
        self.guard.wished(wish, stamp if stamp > 0 else self.wall, self.wall, self.now)

    @rule(held=st.booleans())
    def hold(self, held):
        self.guard.hold(held, self.now)

    @rule(values=st.lists(anything, min_size=1, max_size=3))
    def override(self, values):
        self.guard.override(dict(zip(self.actions, values, strict=False)), self.now)

    @rule()
    def estop(self):
        again, self.pressed, self.was_active = self.pressed, True, True
        self.guard.estop()
        output = self.tick()
        can_always = self.contract.stop.mode != "hold"
        assert output.damp or output.commands is not None or again or not can_always

    @rule()
    def reset(self):
        self.guard.reset()
        self.pressed = False

    @rule()
    def enable(self):
        moving = self.guard.mode in MOVING
        with contextlib.suppress(BadInput):
            self.guard.enable(self.wall, self.now)
            assert not self.pressed
            self.was_active = True
            if not moving:
                self.promise.enabled()

    @rule()
    def start(self):
        self.sense(0.0)
        self.enable()

    @rule()
    def disable(self):
        self.guard.disable()

    @rule(count=st.integers(0, 2))
    def publishers(self, count):
        self.guard.publishers("command", count)

    @rule(value=st.floats(-10, 10), count=st.integers(2, 6))
    def run(self, value, count):
        for _ in range(count):
            self.pass_time(1.0)
            self.sense(0.0)
            self.wish(value, "a")
            self.tick()

    @rule()
    def watchdog(self):
        self.tick()

    def tick(self):
        output = self.guard.tick(self.wall, self.now)
        self.promise.saw(output, self.now)
        assert output.mode is Mode.ESTOP if self.pressed else output.mode is not Mode.ESTOP
        if not self.was_active:
            assert output.mode is Mode.INACTIVE and output.commands is None and not output.damp
        return output

    @invariant()
    def nothing_broken(self):
        if hasattr(self, "promise"):
            assert self.promise.broken == [], self.contract.channels()


AttackedGuard.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAttackedGuard = AttackedGuard.TestCase


@settings(max_examples=80, deadline=None)
@given(
    rng=st.randoms(use_true_random=False),
    rate=st.floats(0.3, 50),
    ramp=st.sampled_from([0.0, 0.3, 2.0]),
    delay=st.integers(0, 4),
)
def test_no_policy_moves_the_robot_through_a_wall(rng, rate, ramp, delay):
    """The robot follows at once; its readings arrive up to 2 periods late."""
    contract = velocity_contract(wall=(-0.2, 0.3), rate_limit=rate, control_rate=50, ramp=ramp)
    guard, now, x, v, wish = Guard(contract), 100.0, 0.0, 0.0, 0.0
    past = [x] * 8
    guard.heard("x", {"x": x}, now, now, now)
    guard.enable(now, now)
    for step in range(300):
        now += 0.01  # half a period
        x += v * 0.01
        past = [x, *past[:-1]]
        guard.heard("x", {"x": past[delay]}, now - 0.01 * delay, now, now)
        if step % 15 == 0:
            wish = rng.choice((-1.0, 1.0, 50.0, -50.0, rng.uniform(-1, 1)))
        if step % 2 == 0:
            guard.wished({"a": wish}, now, now, now, policy=str(step // 90))
        output = guard.tick(now, now)
        assert output.mode is Mode.RUNNING
        v = output.commands["a"] if output.commands else v
        assert -0.2 - 1e-9 <= x <= 0.3 + 1e-9


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 1e300])
def test_the_checker_itself_sees_a_broken_promise(value):
    from robot_rl.deploy.guard import Output

    contract = velocity_contract()
    promise = Promise(contract)
    promise.saw(Output(Mode.RUNNING, {"a": value}), 1.0)
    assert promise.broken
