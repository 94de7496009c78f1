"""Actions shifted by hand against the states are found with the shift; expected shifts are no finding."""

import numpy as np
import pytest

from robot_rl.data.findings.lag import lag, matches
from tests.data.findings.made import FPS, robot, signal


def shifted(values, by, episodes=8):
    """Each episode's rows moved `by` steps later, its ends repeated."""
    parts = values.reshape(episodes, -1, values.shape[1])
    rows = np.clip(np.arange(parts.shape[1]) - by, 0, parts.shape[1] - 1)
    return parts[:, rows].reshape(values.shape)


def noisy(seed=0):
    """A robot that is pushed about at random, so that shifts are sharp: motions (N, 3) and states (N, 3)."""
    rng = np.random.default_rng(seed)
    motions = rng.normal(size=(8, 100, 3))
    states = np.cumsum(np.concatenate([np.zeros((8, 1, 3)), motions[:, :-1]], 1), 1)
    return states.reshape(-1, 3), motions.reshape(-1, 3)


@pytest.mark.parametrize("by", [0, 1, -1])
def test_targets_and_motions_at_their_step_are_no_finding(by):
    states, actions = robot()
    assert lag(signal("state", states, 8), signal("action", actions, 8), FPS) == []
    states, motions = noisy()
    early = shifted(motions, -1) if by == -1 else motions  # an answer one step late is usual
    assert lag(signal("state", states, 8), signal("action", early, 8), FPS) == []


def test_the_match_is_the_part_that_moves():
    states, motions = noisy()
    action = signal("action", motions[:, [2, 0]], 8, parts=["push_2", "push_0"])
    found = matches(signal("state", states, 8), action, FPS)
    assert [(m.state, m.targets, m.shift) for m in found] == [(2, False, 0), (0, False, 0)]


def test_actions_that_follow_the_state():
    states, motions = noisy()
    [found] = lag(signal("state", states, 8), signal("action", shifted(motions, 3), 8), FPS)
    assert found.level == "warning" and found.channel == "action"
    assert "each of 3 channels comes 3 steps (150 ms) after the state" in found.what


def test_a_late_answer():
    states, motions = noisy()
    motions = motions[:, :2]
    found = lag(signal("state", states, 8), signal("action", shifted(motions, -4), 8), FPS)
    assert [one.level for one in found] == ["note", "note"]
    assert found[0].channel == "action.c0" and "is answered by state.c0 4 steps" in found[0].what


def test_actions_that_have_nothing_to_do_with_the_state():
    states, _ = noisy()
    noise = np.random.default_rng(9).normal(size=(800, 3))
    assert lag(signal("state", states, 8), signal("action", noise, 8), FPS) == []
    assert lag(signal("state", states, 8), signal("action", np.zeros((800, 3)), 8), FPS) == []


def test_what_another_action_explains_better_is_no_finding():
    # The second action copies the first five steps early; the state follows the first.
    states, motions = noisy()
    actions = np.stack([motions[:, 0], shifted(motions, -5)[:, 0]], 1)
    state = signal("state", states[:, :1], 8, parts=["x"])
    assert lag(state, signal("action", actions, 8, parts=["a", "b"]), FPS) == []


def test_motion_that_repeats_has_no_shift_of_its_own():
    time = np.tile(np.arange(100) / FPS, 8)[:, None] * 2 * np.pi * np.array([2.5, 4])
    assert lag(signal("state", np.sin(time), 8), signal("action", np.cos(time - 1), 8), FPS) == []
