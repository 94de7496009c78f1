"""Each check of numbers finds what was put in, where it was put, and nothing in clean recordings."""

import numpy as np
import pytest

from robot_rl.data.findings import find
from robot_rl.data.findings.types import Place, runs
from robot_rl.data.findings.values import clipped, constant, duplicated, not_finite, still, stuck
from tests.data.findings.made import FPS, robot, signal


def both(states, actions, episodes=8):
    return signal("state", states, episodes), signal("action", actions, episodes)


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_recording_has_no_findings(seed):
    state, action = both(*robot(seed=seed))
    assert find({"state": state, "action": action}, FPS) == []


def test_runs_stop_where_an_episode_begins():
    mask = np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)
    assert list(runs(mask, np.array([0, 4]))) == [(0, 1), (3, 3), (4, 5), (7, 7)]
    assert list(runs(np.zeros(3, bool), np.array([0]))) == []


def test_not_finite():
    values = np.zeros((8, 2), np.float32)
    values[3:6, 1] = [np.nan, np.inf, np.nan]  # two episodes of four steps: 0-3 and 4-7
    [found] = not_finite(signal("state", values, 2))
    assert (found.level, found.channel) == ("error", "state.c1") and "3 values" in found.what
    assert found.places == (Place(10, 3, 3), Place(11, 0, 1))
    assert found.episodes == (10, 11)
    assert not_finite(signal("state", np.zeros((8, 2)), 2)) == []


def test_constant():
    values = np.arange(8, dtype=np.float32)[:, None] * [1, 0, 0]
    [found] = constant(signal("state", values, 2))
    assert "2 channels never change: c1, c2" in found.what
    [found] = constant(signal("reward", np.full(8, 0.5), 2, parts=[""]))
    assert found.channel == "reward" and "is 0.5 at every step" in found.what and "label" in found.remedy


def test_a_channel_that_sticks_and_leaps():
    states, actions = robot()
    states[230:260, 1] = states[230, 1]  # episode 2 of eight, steps 30 to 59
    state, action = both(states, actions)
    [found] = stuck(state, action, FPS)
    assert (found.channel, found.places) == ("state.c1", (Place(12, 30, 59),)) and "30 steps" in found.what


def test_a_sensor_that_dies():
    states, actions = robot()
    states[360:400, 0] = states[360, 0]
    state, action = both(states, actions)
    [found] = stuck(state, action, FPS)
    assert found.places == (Place(13, 60, 99),)


def test_all_channels_at_once():
    states, actions = robot()
    states[120:150] = states[120]
    state, action = both(states, actions)
    [found] = stuck(state, action, FPS)
    assert (found.channel, found.places) == ("state", (Place(11, 20, 49),))


def test_rests_are_not_stuck():
    # An object that is touched late in every episode, and a robot that slows down and stands in one.
    states, actions = robot()
    for start in range(0, 800, 100):
        states[start : start + 40, 2] = states[start + 40, 2]
    time = np.linspace(0, 1, 50)
    states[150:200] = states[150] + np.outer(np.where(time < 0.5, time - time**2, 0.25), [1, 1, 1])
    actions[150:200] = states[199]
    state, action = both(states, actions)
    assert stuck(state, action, FPS) == []
    assert stuck(action, state, FPS) == []


def test_what_often_rests_and_leaps_is_a_habit():
    states, actions = robot()
    for start in range(0, 400, 100):  # half of the episodes
        states[start + 30 : start + 60, 1] = states[start + 30, 1]
    state, action = both(states, actions)
    assert stuck(state, action, FPS) == []


def test_clipped():
    states, actions = robot()
    state = signal("state", np.clip(states, -0.8, 5), 8)
    [found] = clipped(state)
    assert found.level == "warning" and "c0 at -0.8" in found.what and "c1 at -0.8" in found.what
    assert all(place.last - place.first >= 2 for place in found.places)
    [found] = clipped(signal("action", np.clip(3 * actions, -1, 1), 8))
    assert found.level == "note" and "at -1" in found.what and "at 1" in found.what


def test_a_gripper_and_a_rest_at_the_end_of_a_range_are_not_clipped():
    states, _ = robot()
    gripper = np.sign(states[:, 0])
    rest = np.tile(np.maximum(np.linspace(1, -0.5, 100), 0) ** 2, 8)  # slows down and rests at its smallest
    assert clipped(signal("state", np.stack([gripper, rest], 1), 8)) == []


def test_a_motion_that_brakes_before_its_end_is_not_clipped():
    path = np.cumsum(np.concatenate([np.full(60, -1.0), [-0.5, -0.4, -0.3], np.zeros(37)]))
    assert clipped(signal("state", np.tile(path, 8), 8)) == []
    sudden = np.maximum(np.cumsum(np.full(100, -1.0)), -60.2)
    assert len(clipped(signal("state", np.tile(sudden, 8), 8))) == 1


def test_still():
    states, _ = robot()
    states[300:400] = states[300] + 0.001
    [found] = still(signal("state", states, 8))
    assert found.places == (Place(13, 0, 99),) and "1 of 8" in found.what


def test_duplicated():
    states, actions = robot()
    states[500:600], actions[500:600] = states[100:200], actions[100:200]
    [found] = duplicated(both(states, actions))
    assert found.places == (Place(15, 0, 99),) and "15 = 11" in found.what
    actions[550] += 1e-3
    assert duplicated(both(states, actions)) == []
