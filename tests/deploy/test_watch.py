"""How old a source is and whether its clock is believed, by hand; a source is stale after 0.5 s."""

import math

import pytest

from robot_rl.deploy.watch import Watch
from robot_rl.specs.robot_contract import CameraTopic


def ours():
    return Watch("imu", 0.5)


def theirs(*heard):
    """A watch of another clock, which has heard (stamp, now) pairs."""
    watch = Watch("imu", 0.5, "theirs")
    for stamp, now in heard:
        assert watch.heard(stamp, 1e9, now)
    return watch


def test_age_is_the_worse_of_stamp_and_arrival():
    watch = ours()
    assert watch.age(10, 1) == math.inf and watch.problem(10, 1) == "'imu' has not been heard yet"
    watch.heard(10.0, 10.2, 1.0)
    assert watch.age(10.2, 1.0) == pytest.approx(0.2)
    assert watch.age(10.4, 1.3) == pytest.approx(0.4)
    assert watch.age(10.2, 1.45) == pytest.approx(0.45)  # our wall clock stood still
    assert watch.problem(10.5, 1.5) == ""


def test_old_age_says_whether_the_source_is_silent_or_its_messages_late():
    watch = ours()
    watch.heard(10.0, 10.0, 1.0)
    assert watch.problem(10.6, 1.6) == "'imu' is 0.6 s old (limit 0.5 s): is its driver running?"
    watch.heard(10.7, 12.0, 3.0)
    assert "arrives 1.3 s after its stamp" in watch.problem(12.0, 3.0)
    assert "`clock: theirs`" in watch.problem(12.0, 3.0)


def test_repeated_and_preceding_stamps_are_dropped():
    watch = ours()
    assert watch.heard(10.0, 10.0, 1.0)
    assert not watch.heard(10.0, 10.1, 1.1) and not watch.heard(9.8, 10.1, 1.1)
    assert watch.dropped == 2 and watch.received == 1.0 and not watch.jumped
    assert watch.heard(10.1, 10.1, 1.1)


def test_a_stamp_that_goes_back_further_than_the_limit_is_a_jump_until_forgotten():
    watch = ours()
    watch.heard(10.0, 10.0, 1.0)
    assert not watch.heard(9.4, 10.1, 1.1)
    assert watch.problem(10.1, 1.1) == "stamps of 'imu' went back by 0.6 s"
    assert not watch.heard(9.5, 10.2, 1.2) and watch.problem(10.2, 1.2)
    watch.forget()
    assert watch.problem(10.2, 1.2) == "'imu' has not been heard yet"
    assert watch.heard(9.9, 10.2, 1.2) and watch.problem(10.2, 1.2) == ""


def test_a_stamp_ahead_of_our_clock_is_a_jump_if_it_is_further_than_the_limit():
    watch = ours()
    assert watch.heard(10.4, 10.0, 1.0)
    assert not watch.heard(10.7, 10.1, 1.1)
    assert "0.6 s ahead of our clock" in watch.problem(10.1, 1.1)


@pytest.mark.parametrize("stamp", [math.nan, math.inf, -math.inf])
def test_a_stamp_that_is_no_time_does_not_count(stamp):
    watch = ours()
    assert not watch.heard(stamp, 10.0, 1.0)
    assert watch.problem(10.0, 1.0) == f"'imu' cannot be used: its stamp is {stamp}"
    assert watch.heard(10.0, 10.0, 1.0) and watch.problem(10.0, 1.0) == ""


def test_a_clock_of_ours_that_gives_no_time_is_a_problem():
    watch = ours()
    watch.heard(10.0, 10.0, 1.0)
    assert watch.problem(10.1, math.nan)
    watch.heard(10.1, 10.1, math.nan)
    assert watch.problem(10.2, 1.2)


def test_messages_without_a_header_are_judged_by_their_arrival():
    watch = ours()
    assert watch.heard(None, 10.0, 1.0) and watch.heard(None, 10.0, 1.2)
    assert watch.age(99.0, 1.5) == pytest.approx(0.3)


def test_a_message_without_a_stamp_does_not_open_the_door_to_older_ones():
    watch = ours()
    watch.heard(10.0, 10.0, 1.0)
    watch.heard(None, 10.1, 1.1)
    assert not watch.heard(9.9, 10.2, 1.2)


def test_another_clock_may_be_any_time_away_and_drift():
    watch = theirs()
    for k in range(2000):  # 10 Hz; their clock gains 0.5 ms a second, which is 0.1 s in the end
        now = 1.0 + 0.1 * k
        assert watch.heard(77.0 + 0.1 * k * 1.0005, 1e9, now)
        assert watch.problem(1e9, now) == "" and watch.age(1e9, now) < 1e-6
    late = theirs()
    for k in range(2000):  # and loses as much
        now = 1.0 + 0.1 * k
        assert late.heard(77.0 + 0.1 * k * 0.9995, 1e9, now) and late.age(1e9, now) < 1e-6


def test_another_clock_that_jumps_ahead_or_back_is_told():
    watch = theirs((77.0, 1.0), (77.1, 1.1))
    assert not watch.heard(78.0, 1e9, 1.2)
    assert "jumped ahead by 0.8 s" in watch.problem(1e9, 1.2)
    watch = theirs((77.0, 1.0))
    assert not watch.heard(5.0, 1e9, 1.1) and "went back by 72 s" in watch.problem(1e9, 1.1)


def test_another_clock_says_how_much_slower_than_the_fastest_a_message_came():
    watch = theirs((77.0, 1.0), (77.1, 1.1), (77.2, 1.5))  # 0.3 s slower
    assert watch.age(1e9, 1.5) == pytest.approx(0.3, abs=1e-3)
    assert watch.problem(1e9, 1.5) == "" and "0.65 s" in watch.problem(1e9, 1.85)
    assert watch.heard(77.3, 1e9, 1.9)  # in a queue that grows: 0.6 s
    assert "'imu' arrives 0.599 s after its stamp" in watch.problem(1e9, 1.9)
    assert watch.heard(78.0, 1e9, 2.0) and watch.problem(1e9, 2.0) == ""  # the queue is empty again


def test_the_watch_of_a_camera():
    watch = Watch.of("side", CameraTopic(topic="image", rate=10, stale=0.4, clock="theirs"))
    assert (watch.name, watch.stale, watch.clock) == ("side", 0.4, "theirs")
