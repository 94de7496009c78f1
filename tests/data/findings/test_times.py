"""Clocks: what goes back, leaps, or runs at another rate is told with its place."""

import numpy as np

from robot_rl.data.findings.times import dropped, time_stamps
from robot_rl.data.findings.types import Place
from tests.data.findings.made import FPS, signal


def clock(*episodes):
    return signal("timestamp", np.concatenate(episodes), len(episodes), parts=[""])


def even(steps=40):
    return np.arange(steps) / FPS


def test_an_even_clock_has_no_findings():
    rng = np.random.default_rng(0)
    assert time_stamps(clock(even(), even() + 7), FPS) == []
    assert time_stamps(clock(even() + rng.uniform(0, 0.1 / FPS, 40)), FPS) == []


def test_back_and_gap():
    back, gap = even(), even()
    back[20:] -= 0.5
    gap[30:] += 3 / FPS
    found = {one.kind: one for one in time_stamps(clock(back, gap), FPS)}
    assert sorted(found) == ["gap", "time"]
    assert found["time"].level == "error" and found["time"].places == (Place(10, 19, 20),)
    assert found["gap"].places == (Place(11, 29, 30),)
    assert "1 gaps, about 3 steps missing, the longest 0.2 s" in found["gap"].what


def test_another_rate():
    [found] = time_stamps(clock(even() * 2), FPS)
    assert found.kind == "rate" and "usually 100 ms apart" in found.what and "means 50 ms" in found.what


def test_uneven_steps():
    ragged = even()
    ragged[1::2] += 0.3 / FPS
    [found] = time_stamps(clock(ragged), FPS)
    assert (found.kind, found.level) == ("uneven", "note") and "100%" in found.what


def test_dropped_steps():
    number = np.arange(10) + (np.arange(10) >= 6)
    [found] = dropped(clock(np.arange(10), number, np.arange(10) + 2))
    assert found.places == (Place(11, 5, 6), Place(12, 0, 0))
    assert dropped(clock(np.arange(10), np.arange(10))) == []
