"""Cameras: a dark, a one-coloured and a frozen stretch are found where they are, in arrays and in video."""

import numpy as np

from robot_rl.data.findings.pictures import grey, look, looked_at, picture_findings
from robot_rl.data.findings.types import Place

FPS = 10.0


def film(steps=60):
    """A bright square that moves to the right over a grey ground, and the state that moves it."""
    frames = np.full((steps, 64, 64, 3), 90, np.uint8)
    for t in range(steps):
        frames[t, 20:36, t % 48 : t % 48 + 16] = 220
    return frames, np.linspace(0, 1, steps, dtype=np.float32)[:, None]


def seen(frames, state):
    return look(4, "front", frames, state, np.ones(1), FPS)


def test_the_steps_looked_at():
    np.testing.assert_array_equal(looked_at(11, 10.0), [0, 3, 7, 10])  # 1.1 s: 4 pictures
    assert len(looked_at(10_000, 10.0)) == 48 and len(looked_at(2, 10.0)) == 2


def test_grey_levels_of_parts():
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, :2, :2] = [30, 60, 90]
    levels = grey(picture)
    assert levels.shape == (1, 16, 16) and levels[0, 0, 0] == 60 and levels[0, 1:].max() == 0
    assert grey(np.full((1, 7, 50, 3), 9, np.uint8)).shape == (1, 7, 16)


def test_a_clean_film_has_no_findings():
    assert seen(*film()) == []


def test_dark_and_of_one_colour():
    frames, state = film()
    frames[:20] = 3
    frames[40:] = [0, 200, 0]
    (_, _, first), (_, _, second) = seen(frames, state)
    assert first.first == 0 and 12 <= first.last < 20
    assert 40 <= second.first < 48 and second.last == 59


def test_frozen():
    frames, state = film()
    frames[30:] = frames[30]
    [(kind, camera, place)] = seen(frames, state)
    assert (kind, camera, place.episode, place.last) == ("frozen", "front", 4, 59) and 30 <= place.first <= 35
    assert seen(frames, np.zeros((60, 1), np.float32)) == []  # nothing moves: nothing to see


def test_one_finding_a_kind_and_camera():
    places = [("dark", "a", Place(0, 0, 9)), ("dark", "a", Place(1, 0, 9)), ("frozen", "b", Place(0, 0, 9))]
    dark, frozen = picture_findings(places, 5)
    assert "in 2 of the 5 episodes" in dark.what and dark.channel == "camera a" and len(dark.places) == 2
    assert frozen.kind == "frozen" and frozen.channel == "camera b"
