"""A control loop's ticks: which were missed, how long they took."""

from robot_rl.deploy.ticks import Ticks


def noted(*began: float) -> Ticks:
    ticks = Ticks(0.1)
    for time in began:
        ticks.note(time, time + 0.01)
    return ticks


def test_ticks_that_were_due_in_a_gap_are_missed():
    assert noted(1.0, 1.1, 1.24, 1.34).missed == 0  # late by less than half a period
    assert noted(1.0, 1.16).missed == 1
    assert noted(1.0, 1.24).missed == 1 and noted(1.0, 1.26).missed == 2
    assert noted(1.0, 1.1, 2.1, 2.2).missed == 9  # 1.2 to 2.0
    assert noted(1.0).missed == 0


def test_the_summary_says_rate_time_and_misses():
    assert noted(1.0).summary() == {"ticks": "1"}
    found = noted(1.0, 1.1, 1.2, 1.5).summary()
    assert found == {"ticks": "4", "missed": "2", "rate": "6.0 Hz", "step": "10.00 ms (p99 10.00 ms)"}
