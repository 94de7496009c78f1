"""Modes, stops and people, each attack by name; time is simulated and numbers are worked by hand."""

import math

import pytest

from robot_rl.deploy.guard import Guard, Mode
from robot_rl.errors import BadInput
from tests.deploy.contracts import position_contract, velocity_contract
from tests.deploy.rig import Rig, moving, sent

# One period is 0.1 s, a source is stale after 0.25 s, a wish times out after 0.2 s.


def velocity(**more):
    return Rig(velocity_contract(**more))


def position(**more):
    return Rig(position_contract(**more))


# Starting.


def test_nothing_is_commanded_before_a_person_enables():
    rig = velocity()
    outputs = rig.run(5, 1.0)
    assert sent(outputs) == [] and {output.mode for output in outputs} == {Mode.INACTIVE}


def test_enabling_without_readings_is_refused():
    with pytest.raises(BadInput, match="^not enabled: 'x' has not been heard yet$"):
        velocity().enable()


def test_a_position_starts_where_it_stands_and_moves_at_its_rate():
    rig = position(rate_limit=2.0).sense(0.37).enable()
    assert sent([rig.tick()]) == [0.37]
    assert sent(rig.run(2, 0.9)) == pytest.approx([0.57, 0.77])  # 2 rad/s * 0.1 s


def test_a_robot_outside_its_limits_is_not_enabled():
    rig = position(low=-1, high=1, rate_limit=2.0).sense(1.3)
    with pytest.raises(BadInput, match=r"'x' stands at 1.3 rad, outside -1.0 to 1.0 of 'a'; bring it inside"):
        rig.enable()
    assert sent([rig.step(0.1).sense(1.15).enable().tick()]) == [1.0]  # nearer than one period's motion


def test_authority_grows_after_the_start():
    rig = position(rate_limit=2.0, ramp=1.0, high=9.0).start()
    # 0.1, 0.2, 0.3 of 0.2 rad a period
    assert sent(rig.run(3, 9.0)) == pytest.approx([0.02, 0.06, 0.12])


def test_enabling_twice_changes_nothing_in_motion():
    rig = position(rate_limit=1.0).start()
    rig.run(3, 1.0)
    rig.x = -0.5  # the arm lags behind its command of 0.3
    rig.sense().enable()
    assert sent(rig.run(1, 1.0)) == pytest.approx([0.4])


def test_enabling_twice_does_not_begin_a_velocity_anew():
    rig = velocity(rate_limit=1.0).start()
    assert sent(rig.run(3, 1.0)) == pytest.approx([0.1, 0.2, 0.3])
    assert sent(rig.enable().run(1, 1.0)) == pytest.approx([0.4])


def test_the_first_wish_must_come_within_its_time():
    rig = velocity().start()
    assert all(moving(output) for output in rig.idle(2))
    assert rig.idle(0.5)[-1].mode is Mode.STOPPED


# What the policy wishes.


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "fast", 10**400])
def test_a_wish_that_is_no_number_stops_until_a_person_resets(value):
    rig = velocity().start()
    assert sent(rig.run(2, 0.4)) == [0.4, 0.4]
    output = rig.step(0.05).wish(value).tick()
    assert (
        output.mode is Mode.STOPPED and output.commands == {"a": 0.0} and "look at the policy" in output.why
    )
    assert {o.mode for o in rig.run(3, 0.4)} == {Mode.STOPPED}
    with pytest.raises(BadInput, match="look at the policy, then reset"):
        rig.enable()
    rig.guard.reset()
    assert rig.guard.counts.bad_wishes == 1
    assert sent(rig.enable().run(2, 0.4)) == pytest.approx([0.4, 0.4])


def test_a_wish_that_overflows_when_scaled_stops():
    contract = velocity_contract(channel={"scale": 1e9})
    output = Rig(contract).start().step(0.05).wish(1e300).tick()
    assert output.mode is Mode.STOPPED and "1e+300 for 'a'" in output.why


@pytest.mark.parametrize("wish", [{}, {"b": 1.0}, {"a": 1.0, "b": 1.0}])
def test_a_wish_for_other_actions_stops(wish):
    rig = velocity().start().step(0.05)
    rig.guard.wished(wish, rig.wall, rig.wall, rig.now)
    assert "other actions than the contract has" in rig.tick().why


def test_a_wish_outside_the_limits_is_clipped_and_told():
    output = velocity(rate_limit=50.0).start().run(1, 1e9)[0]
    assert output.commands == {"a": 1.0} and output.hits == ("a",)


def test_hits_name_the_limited_actions_alone():
    rig = velocity(rate_limit=5.0).start()
    assert [o.hits for o in rig.run(4, 0.9)] == [("a",), (), (), ()]  # 0.5 a period: 0.5, 0.9
    assert rig.guard.counts.hits == {"a": 1} and rig.guard.counts.limited == 1


def test_a_silent_policy_stops_the_robot_within_two_periods_after_its_time():
    rig = velocity().start()
    rig.run(3, 0.5)
    outputs = rig.idle(4)  # half periods after the last wish: 1, 2, 3, ...
    assert [o.mode for o in outputs[:4]] == [Mode.RUNNING] * 4
    assert outputs[4].commands == {"a": 0.0} and "is policy_node running and active?" in outputs[4].why


def test_a_policy_slower_than_the_period_is_repeated_and_then_stops():
    rig = velocity().start()
    rig.run(1, 0.5)
    rig.step(0.15).sense()
    assert sent([rig.tick()]) == [0.5] and rig.guard.counts.late == 1
    rig.step(0.10).sense()
    assert rig.tick().mode is Mode.STOPPED


def test_a_policy_that_floods_does_not_flood_the_robot():
    rig = velocity().start()
    outputs, times = [], []
    for _ in range(1000):  # at 1 kHz
        outputs.append(rig.step(0.001).sense().wish(0.3).tick())
        times.append(rig.now)
    when = [t for t, output in zip(times, outputs, strict=True) if output.commands]
    assert 18 <= len(when) <= 20
    assert min(b - a for a, b in zip(when[:-1], when[1:], strict=True)) >= 0.05 - 1e-9


def test_wishes_stamped_ahead_of_our_clock_are_not_obeyed_and_do_not_block_later_ones():
    rig = velocity().start()
    rig.wish(0.9, age=-3600)
    assert sent(rig.run(2, 0.1)) == pytest.approx([0.1, 0.1])


def test_wishes_only_from_the_future_stop_the_robot_and_say_so():
    rig = velocity().start()
    outputs = [rig.step(0.05).sense().wish(0.9, age=-60).tick() for _ in range(8)]
    assert set(sent(outputs)) == {0.0}
    assert "stamped 60 s ahead of our clock" in outputs[-1].why


def test_old_wishes_stop_the_robot_and_say_so():
    rig = velocity().start()
    outputs = [rig.step(0.05).sense().wish(0.9, age=0.5).tick() for _ in range(8)]
    assert set(sent(outputs)) == {0.0} and "its wishes are 0.5 s old" in outputs[-1].why


def test_a_wish_ages_from_its_stamp_on():
    rig = velocity().start()
    rig.run(1, 0.5)
    rig.step(0.05).wish(0.5, age=0.04).tick()  # newer than the last by 0.01 s
    assert [o.mode for o in rig.idle(2)][2:] == [Mode.RUNNING, Mode.STOPPED]  # 0.19 and 0.24 s old


def test_wishes_out_of_order_or_repeated_do_not_count():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.step(0.06).sense().wish(-1.0, age=0.06).wish(-1.0, age=0.1)
    assert rig.tick().commands is None
    assert sent([rig.step(0.1).sense().tick()]) == [0.5]


def test_wish_stamps_that_go_back_are_told_and_forgotten_by_a_reset():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.wall -= 100  # our clock was set back; the source's clock is another
    outputs = []
    for _ in range(8):
        rig.step(0.05)
        rig.guard.heard("x", {"x": 0.0}, rig.wall + 100, rig.wall + 100, rig.now)
        rig.guard.wished({"a": 0.5}, rig.wall, rig.wall, rig.now)
        outputs.append(rig.guard.tick(rig.wall + 100, rig.now))
    assert "the stamps of its wishes went back" in outputs[-1].why
    rig.guard.reset()
    rig.wall += 100
    rig.guard.heard("x", {"x": 0.0}, rig.wall + 0.01, rig.wall, rig.now)
    rig.enable()
    rig.guard.wished({"a": 0.5}, rig.wall - 0.1, rig.wall, rig.now)
    assert sent([rig.step(0.08).tick()]) == [0.5]


def test_nothing_wished_before_enabling_is_obeyed_after_it():
    rig = velocity().sense().wish(1.0)
    assert sent([rig.enable().tick()]) == [0.0]


def test_new_weights_begin_gently():
    rig = position(rate_limit=2.0, ramp=1.0, low=-9, high=9).start()
    rig.run(12, 9.0, policy="old")
    before = sent(rig.run(2, 9.0, policy="old"))
    assert before[1] - before[0] == pytest.approx(0.2)
    after = sent(rig.run(3, -9.0, policy="new"))
    steps = [a - b for a, b in zip(after, [before[1], *after], strict=False)]
    assert steps == pytest.approx([-0.01, -0.02, -0.04])  # 0.05, 0.1, 0.2 of 0.2


# Sensors and clocks.


@pytest.mark.parametrize("ticks", [1, 2])
def test_a_stale_source_stops_the_robot_within_two_periods(ticks):
    rig = velocity().start()
    rig.run(3, 0.5)
    outputs = []
    for _ in range(12):
        outputs.append((rig.step(0.1 / ticks / 2).wish(0.5).tick(), rig.now))
    stopped = next(now for output, now in outputs if output.commands == {"a": 0.0})
    heard = outputs[0][1] - 0.1 / ticks / 2
    assert 0.25 - 1e-9 < stopped - heard <= 0.25 + 0.2


def test_a_short_silence_is_over_by_itself_and_a_long_one_is_not():
    rig = velocity(stop={"resume_within": 0.5}).start()
    rig.run(2, 0.5)
    assert rig.run(4, 0.5, sensed=False)[-1].mode is Mode.STOPPED
    assert sent(rig.run(2, 0.5)) == pytest.approx([0.5, 0.5])
    assert rig.guard.counts.stops == 1
    rig.run(9, 0.5, sensed=False)
    outputs = rig.run(5, 0.5)
    assert {o.mode for o in outputs} == {Mode.STOPPED}
    assert (
        "stopped for more than 0.5 s ('x' is" in outputs[-1].why and "reset, then enable" in outputs[-1].why
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_readings_that_are_no_numbers_do_not_keep_the_robot_going(value):
    rig = velocity().start()
    rig.run(1, 0.5)
    for _ in range(4):
        rig.step(0.1)
        rig.guard.heard("x", {"x": value}, rig.wall, rig.wall, rig.now)
        output = rig.wish(0.5).tick()
    assert output.mode is Mode.STOPPED and f"'x' is {value}" in output.why


def test_a_reading_without_one_of_its_parts_does_not_count():
    rig = velocity(wall=(-1.0, 1.0))
    rig.guard.heard("x", {}, rig.wall, rig.wall, rig.now)
    with pytest.raises(BadInput, match="'x' cannot be used: no 'x' in it"):
        rig.enable()


def test_a_reading_cannot_speak_for_another_source():
    rig = velocity()
    rig.guard.heard("y", {"x": 0.0}, rig.wall, rig.wall, rig.now)
    with pytest.raises(BadInput, match="has not been heard yet"):
        rig.enable()


def test_a_misread_message_is_told_once_it_makes_the_source_stale():
    rig = velocity().start()
    rig.guard.misread("x", "its frame is 'base'")
    assert all(moving(o) for o in rig.run(2, 0.0, sensed=False))
    assert "'x' cannot be used: its frame is 'base'" in rig.run(2, 0.0, sensed=False)[-1].why


def test_repeated_stamps_are_a_source_that_stands_still():
    rig = velocity().start()
    stamp = rig.wall
    for _ in range(4):
        rig.step(0.1)
        rig.guard.heard("x", {"x": 0.0}, stamp, rig.wall, rig.now)
        output = rig.wish(0.5).tick()
    assert output.mode is Mode.STOPPED and "is 0.4 s old" in output.why


def test_a_robot_clock_that_goes_back_stops_until_a_person_resets():
    rig = velocity().start()
    rig.run(2, 0.5)
    output = rig.step(0.1).sense(age=30).wish(0.5).tick()
    assert output.mode is Mode.STOPPED and "went back by 29.9 s; look at the robot's clock" in output.why
    assert rig.run(3, 0.5)[-1].mode is Mode.STOPPED
    rig.guard.reset()
    rig.sense().enable()
    assert sent(rig.run(2, 0.5)) == pytest.approx([0.5, 0.5])


def test_a_robot_clock_ahead_of_ours_is_not_enabled():
    rig = velocity().sense(age=-5)
    with pytest.raises(BadInput, match="5 s ahead of our clock; synchronise the clocks"):
        rig.enable()


def test_our_wall_clock_set_forward_stops_until_stamps_follow():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.wall += 1000
    assert rig.step(0.05).tick().mode is Mode.STOPPED
    assert sent(rig.run(2, 0.5)) == pytest.approx([0.5, 0.5])


def test_our_wall_clock_set_back_stops():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.wall -= 1000
    assert rig.run(1, 0.5)[0].mode is Mode.STOPPED


def test_our_monotonic_clock_going_back_stops_at_once():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.now -= 50
    output = rig.tick()
    assert output.commands == {"a": 0.0} and "went back by 50 s" in output.why
    assert rig.run(3, 0.5)[-1].commands == {"a": 0.0}
    rig.guard.reset()
    assert sent(rig.sense().enable().run(2, 0.5)) == pytest.approx([0.5, 0.5])


def test_times_taken_a_moment_before_the_last_tick_do_no_harm():
    rig = velocity().start()
    rig.run(2, 0.5)
    assert rig.step(-0.02).tick().mode is Mode.RUNNING
    assert sent(rig.run(1, 0.5)) == [0.5]


@pytest.mark.parametrize("which", ["wall", "now"])
def test_a_clock_that_gives_no_time_stops(which):
    rig = velocity().start()
    rig.run(2, 0.5)
    setattr(rig, which, math.nan)
    output = rig.tick()
    assert output.commands == {"a": 0.0} and output.mode is Mode.STOPPED


def test_a_fault_stops_even_if_it_lasts_for_one_reading_between_two_ticks():
    rig = velocity(faults={"x": (-1.0, 1.0)}).start()
    rig.run(2, 0.5)
    rig.step(0.01).sense(1.5).step(0.01).sense(0.0)
    output = rig.tick()
    assert output.mode is Mode.STOPPED and "'x' is 1.5, outside -1.0 to 1.0; look at the robot" in output.why
    with pytest.raises(BadInput, match="outside"):
        rig.enable()


def test_a_fault_is_latched_while_another_source_is_stale():
    y = {
        "topic": "y", "type": "std_msgs/msg/Float64MultiArray", "rate": 10, "stale": 0.25,
        "parts": {"y": {"field": "data[0]", "unit": "m"}},
    }  # fmt: skip
    rig = velocity(sources={"y": y}, faults={"y": (-1.0, 1.0)})
    rig.guard.heard("y", {"y": 0.0}, rig.wall, rig.wall, rig.now)
    rig.start()
    rig.step(0.3)  # both are stale now
    assert rig.tick().mode is Mode.STOPPED
    rig.guard.heard("y", {"y": 2.0}, rig.wall, rig.wall, rig.now)
    rig.tick()
    rig.step(0.05).guard.heard("y", {"y": 0.0}, rig.wall, rig.wall, rig.now)
    assert "'y' is 2, outside" in rig.sense().wish().tick().why


def test_not_enabled_while_a_fault_stands():
    rig = velocity(faults={"x": (-1.0, 1.0)}).sense(2.0)
    with pytest.raises(BadInput, match="'x' is 2, outside -1.0 to 1.0"):
        rig.enable()


def test_a_required_camera_that_falls_silent_stops_the_robot():
    rig = velocity(cameras={"side": {"topic": "image", "rate": 10, "stale": 0.25, "required": True}})
    with pytest.raises(BadInput, match="'side' has not been heard yet"):
        rig.sense().enable()
    rig.guard.heard("side", {}, rig.wall, rig.wall, rig.now)
    rig.enable()
    assert moving(rig.run(2, 0.5)[-1])
    assert "'side' is 0.3 s old" in rig.run(1, 0.5)[-1].why


def test_a_source_that_is_not_required_may_be_silent_and_may_restart_its_clock():
    battery = {
        "topic": "battery", "type": "sensor_msgs/msg/BatteryState", "rate": 1, "stale": 2, "required": False,
        "parts": {"charge": {"field": "percentage", "unit": "1"}},
    }  # fmt: skip
    rig = velocity(sources={"battery": battery}, faults={"charge": (0.2, 1.0)})
    rig.start()
    assert all(moving(o) for o in rig.run(40, 0.1))
    rig.guard.heard("battery", {"charge": 0.9}, rig.wall, rig.wall, rig.now)
    rig.guard.heard("battery", {"charge": 0.8}, rig.wall - 4000, rig.wall, rig.now)
    assert moving(rig.run(1, 0.1)[0])
    rig.guard.heard("battery", {"charge": 0.1}, rig.wall - 3999, rig.wall, rig.now)
    assert "'charge' is 0.1" in rig.run(1, 0.1)[0].why


# Walls.


def test_a_wall_is_kept_with_readings_that_are_late():
    rig = Rig(velocity_contract(wall=(-1.0, 0.1), rate_limit=1000.0)).start(0.0)
    rig.step(0.1).sense().wish(0.3)
    # A reading of 0 leaves 0.1 m; each period after it, 0.03 m more have been commanded. What is left must
    # last for two more periods: 0.07 m allow 0.35 m/s, 0.04 m allow 0.2 m/s.
    outputs = [rig.tick(), rig.step(0.1).wish(0.3).tick(), rig.step(0.1).wish(0.3).tick()]
    assert sent(outputs) == pytest.approx([0.3, 0.3, 0.2], abs=1e-3)


def test_ramping_up_does_not_weaken_the_brakes():
    rig = Rig(velocity_contract(wall=(-1.0, 9.0), rate_limit=10.0, ramp=5.0)).start(0.0)
    rig.run(60, 1.0, policy="old")
    assert sent(rig.run(1, 1.0, policy="old")) == pytest.approx([1.0])
    assert sent(rig.run(1, 0.0, policy="new")) == pytest.approx([0.0])


# Stops and e-stop.


def test_estop_is_told_at_the_next_tick_and_stays():
    rig = velocity().start()
    rig.run(3, 0.5)
    rig.guard.estop("the red button")
    output = rig.step(0.001).tick()
    assert output.commands == {"a": 0.0} and output.mode is Mode.ESTOP
    assert output.why == "e-stop: the red button; reset, then enable"
    outputs = rig.run(30, 0.5)
    assert set(sent(outputs)) == {0.0} and len(sent(outputs)) == 30
    assert {o.mode for o in outputs} == {Mode.ESTOP}
    with pytest.raises(BadInput, match="e-stop: the red button; reset it first"):
        rig.enable()
    rig.guard.reset()
    assert sent(rig.run(5, 0.5)) == []  # a reset alone moves nothing
    assert sent(rig.enable().run(1, 0.5)) == pytest.approx([0.5])


def test_estop_without_a_reason_is_an_estop():
    rig = velocity().start()
    rig.guard.estop("")
    assert rig.tick().mode is Mode.ESTOP


def test_estop_is_told_while_inactive():
    rig = velocity()
    rig.guard.estop()
    assert rig.tick().commands == {"a": 0.0}
    damped = velocity(stop={"mode": "damp", "topic": "damp"})
    damped.guard.estop()
    assert damped.tick().damp and damped.tick().commands is None


def test_disabling_does_not_undo_an_estop():
    rig = velocity().start()
    rig.guard.estop()
    rig.guard.disable()
    assert rig.tick().mode is Mode.ESTOP


def test_an_estop_while_inactive_holds_where_the_robot_stood_and_does_not_sag_with_it():
    rig = position().sense(0.4)
    rig.guard.estop()
    commands = sent([rig.tick()])
    for sagged in (0.39, 0.35, 0.2):
        commands += sent([rig.step(0.1).sense(sagged).tick()])
    assert commands == [0.4, 0.4, 0.4, 0.4]


def test_an_estop_while_inactive_does_not_send_an_old_position():
    rig = position(rate_limit=5.0).start(0.0)
    rig.run(3, 0.9)
    rig.guard.disable()
    assert sent(rig.idle(3)) == [0.9]
    rig.step(0.1).sense(-0.6)  # someone else moved it
    rig.guard.estop()
    assert sent([rig.tick()]) == [-0.6]


@pytest.mark.parametrize(
    ("x", "why"), [(None, "'x' stands is not known"), (1.4, "stands at 1.4 rad, outside")]
)
def test_an_estop_while_inactive_holds_nothing_where_that_would_move_the_robot(x, why):
    rig = position(rate_limit=1.0)
    if x is not None:
        rig.sense(x)
    rig.guard.estop()
    output = rig.tick()
    assert output.mode is Mode.ESTOP and output.commands is None and why in output.why


def test_a_hold_repeats_the_last_command_whatever_the_robot_does():
    rig = position(rate_limit=5.0).start(0.0)
    rig.run(2, 0.3)
    outputs = []
    for x in (0.28, 0.2, 0.1, 0.0):  # it sags; the policy is silent
        outputs += [rig.step(0.1).sense(x).tick()]
    assert sent(outputs)[-2:] == [0.3, 0.3] and outputs[-1].mode is Mode.STOPPED
    assert sent(rig.run(1, 0.3)) == [0.3]  # and goes on from there


def test_a_stop_in_full_motion_is_immediate():
    rig = position(rate_limit=2.0, acceleration_limit=10.0).start(0.0)
    before = sent(rig.run(3, 0.9))[-1]
    rig.guard.estop()
    assert sent([rig.step(0.01).tick()]) == [before]


def test_disabling_stops_once_and_then_says_nothing():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.guard.disable()
    assert sent([rig.step(0.01).tick()]) == [0.0]
    assert sent(rig.run(5, 0.5)) == []
    rig.guard.disable()
    assert sent(rig.run(5, 0.5)) == []


def test_a_reset_in_motion_stops_first():
    rig = velocity().start()
    rig.run(2, 0.5)
    rig.run(4, 0.5, sensed=False)  # a short stop before, so that one has been told already
    rig.run(2, 0.5)
    rig.guard.reset()
    assert sent(rig.idle(3)) == [0.0]


def test_enabling_right_after_a_reset_in_motion_tells_the_stop_first():
    rig = position(rate_limit=1.0).start(0.0)
    rig.run(3, 0.9)
    rig.x = -0.5
    rig.sense()
    rig.guard.reset()
    rig.enable()
    assert sent([rig.tick()]) == pytest.approx([0.3])
    assert sent(rig.run(1, 0.9)) == pytest.approx([0.4])


def test_a_wish_that_is_wrong_while_inactive_commands_nothing():
    rig = position(rate_limit=5.0).start(0.0)
    rig.run(2, 0.9)
    rig.guard.disable()
    rig.tick()
    rig.sense(-0.6).wish(math.nan)
    assert sent(rig.idle(2)) == []
    with pytest.raises(BadInput, match="look at the policy"):
        rig.enable()


def test_a_robot_that_sagged_out_of_its_limits_while_damped_does_not_go_on():
    rig = position(stop={"mode": "damp", "topic": "damp"}, rate_limit=1.0).start(0.9)
    rig.run(1, 0.9)
    assert any(output.damp for output in rig.idle(3))
    output = rig.step(0.01).sense(1.5).wish(0.9).tick()
    assert output.mode is Mode.STOPPED and "bring it inside first, reset, then enable" in output.why


def test_damping_begins_anew_where_the_robot_stands():
    rig = position(stop={"mode": "damp", "topic": "damp"}, rate_limit=1.0).start(0.9)
    assert any(output.damp for output in rig.idle(3))
    rig.step(0.1).sense(0.2)
    assert sent([rig.wish(0.9).tick()]) == pytest.approx([0.3])


@pytest.mark.parametrize("cycles", [5])
def test_enabling_and_disabling_over_and_over(cycles):
    rig = position(rate_limit=1.0)
    for cycle in range(cycles):
        x = 0.1 * cycle
        rig.step(1.0).sense(x).enable()
        assert sent([rig.tick()]) == pytest.approx([x])
        assert sent(rig.run(1, 0.9)) == pytest.approx([x + 0.1])
        rig.guard.disable()
        assert sent(rig.idle(2)) == pytest.approx([x + 0.1])


def test_a_second_publisher_stops_until_a_person_resets():
    rig = velocity().start()
    rig.guard.publishers("command", 1)
    assert moving(rig.run(1, 0.5)[0])
    rig.guard.publishers("command", 3)
    output = rig.step(0.01).tick()
    assert output.commands == {"a": 0.0} and "2 other publisher(s) on 'command': end them" in output.why
    rig.guard.reset()
    rig.guard.publishers("command", 2)
    with pytest.raises(BadInput, match="1 other publisher"):
        rig.sense().enable()


# Interventions; a teleoperator's time-out is 0.25 s.


def person(rig, value):
    rig.guard.override({"a": value}, rig.now)
    return rig


def test_a_person_overrides_the_policy_within_the_limits():
    rig = velocity(rate_limit=5.0).start()
    rig.run(2, 0.5)
    rig.guard.hold(True, rig.now)
    outputs = []
    for _ in range(5):
        rig.step(0.1).sense().wish(0.5)
        outputs.append(person(rig, -7.0).tick())
    assert sent(outputs) == pytest.approx([0.0, -0.5, -1.0, -1.0, -1.0])
    assert {o.mode for o in outputs} == {Mode.INTERVENTION}


def test_commands_of_a_person_who_does_not_hold_the_robot_do_not_count():
    rig = velocity().start()
    rig.run(1, 0.5)
    person(person(rig, -1.0), math.nan)
    assert sent(rig.run(1, 0.5)) == [0.5]


def test_a_person_who_holds_without_a_command_brings_the_robot_to_rest():
    rig = velocity(rate_limit=50.0).start()
    rig.run(2, 0.8)
    rig.guard.hold(True, rig.now)
    assert sent(rig.run(2, 0.8)) == [0.0, 0.0]
    assert "the teleoperator vanished" in rig.run(1, 0.8)[0].why


def test_a_teleoperator_who_vanishes_stops_the_robot_and_is_asked_for():
    rig = velocity(rate_limit=50.0).start()
    rig.guard.hold(True, rig.now)
    person(rig, 0.6)
    outputs = rig.run(3, 0.9)
    assert sent(outputs) == [0.6, 0.6, 0.0] and outputs[-1].mode is Mode.STOPPED
    rig.guard.reset()
    with pytest.raises(BadInput, match="publish false on 'teleop/hold'"):
        rig.enable()
    rig.guard.hold(False, rig.now)
    assert sent(rig.enable().run(1, 0.9)) == [0.9]


def test_a_velocity_that_is_not_repeated_is_over_though_another_is():
    base = velocity_contract().model_dump()["commands"]
    base["axis"]["parts"]["b"] = base["axis"]["parts"]["a"] | {"field": "data[1]", "rate_limit": 50.0}
    base["axis"]["parts"]["a"]["rate_limit"] = 50.0
    rig = Rig(velocity_contract(commands=base))
    rig.sense().enable().tick()
    rig.guard.hold(True, rig.now)
    rig.guard.override({"a": 0.7}, rig.now)
    found = []
    for _ in range(4):
        rig.step(0.1).sense()
        rig.guard.override({"b": 0.2}, rig.now)
        found.append(tuple(rig.tick().commands.values()))
    assert found == [(0.7, 0.2), (0.7, 0.2), (0.0, 0.2), (0.0, 0.2)]


def test_messages_without_a_known_action_do_not_keep_an_intervention_alive():
    rig = velocity().start()
    rig.guard.hold(True, rig.now)
    for _ in range(3):
        rig.step(0.1).sense()
        rig.guard.override({"c": 0.1}, rig.now)
        rig.guard.override({}, rig.now)
        rig.guard.hold(True, rig.now)
        output = rig.tick()
    assert "the teleoperator vanished" in output.why


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_person_s_command_that_is_no_number_stops(value):
    rig = velocity().start()
    rig.guard.hold(True, rig.now)
    output = person(rig.step(0.06), value).tick()
    assert output.commands == {"a": 0.0} and "look at the teleoperation, then reset" in output.why


def test_positions_that_a_person_does_not_command_stay():
    rig = position(rate_limit=5.0).start(0.0)
    rig.run(3, 0.5)
    rig.x = 0.3  # it stands lower than commanded
    rig.guard.hold(True, rig.now)
    assert sent(rig.run(2, 0.9)) == pytest.approx([0.5, 0.5])


def test_letting_go_gives_the_robot_back_without_a_jump():
    rig = position(rate_limit=2.0, ramp=1.0, low=-9, high=9).start(0.0)
    rig.run(12, 0.0)
    rig.guard.hold(True, rig.now)
    for _ in range(5):
        rig.step(0.1).sense().wish(-5.0)
        last = person(rig, 1.0).tick().commands["a"]
    assert last == pytest.approx(1.0)
    rig.guard.hold(False, rig.now)
    assert sent(rig.run(3, -5.0)) == pytest.approx([0.98, 0.94, 0.88])  # 0.1, 0.2, 0.3 of 0.2


def test_a_policy_that_died_meanwhile_stops_the_robot_when_the_person_lets_go():
    rig = velocity(rate_limit=50.0).start()
    rig.guard.hold(True, rig.now)
    for _ in range(6):
        rig.step(0.1).sense()
        person(rig, 0.5).tick()
    rig.guard.hold(False, rig.now)
    assert rig.step(0.01).tick().commands == {"a": 0.0}


def test_an_intervention_sends_one_command_a_period_though_ticks_are_more():
    rig = velocity().start()
    rig.guard.hold(True, rig.now)
    person(rig, 0.2).step(0.1).sense().tick()
    assert len(sent(rig.idle(2))) == 2


def test_estop_goes_before_a_person():
    rig = velocity().start()
    rig.guard.hold(True, rig.now)
    person(rig, 0.5).step(0.1).sense().tick()
    rig.guard.estop()
    assert rig.step(0.01).tick().mode is Mode.ESTOP


def test_a_guard_says_nothing_it_was_not_asked():
    guard = Guard(velocity_contract())
    guard.misread("nobody", "nothing")
    guard.hold(False, 0.0)
    guard.override({"a": 1.0}, 0.0)
    guard.disable()
    guard.reset()
    assert guard.tick(0.0, 0.0).commands is None and guard.counts.commands == 0
