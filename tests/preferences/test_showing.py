"""Strips and traces: which moments, where they stand in the picture, and what is drawn."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.showing import Strip, strips, told, traced

STARTS = np.array([0] * 6 + [6] * 4)  # an episode of 6 frames and one of 4
FRAMES = np.repeat(np.arange(10, dtype=np.uint8) * 20, 8 * 8 * 3).reshape(10, 8, 8, 3)


def test_a_strip_is_three_moments_of_one_episode():
    strip = Strip(STARTS, 5)
    moments = strip.moments(np.array([5, 2, 6, 9]))
    np.testing.assert_array_equal(moments, [[1, 3, 5], [0, 1, 2], [6, 6, 6], [6, 7, 9]])
    assert strip.moments(np.array([[5, 9]])).shape == (1, 2, 3)


def test_a_strip_shows_them_from_left_to_right():
    shown = strips(lambda i: FRAMES[i], Strip(STARTS, 5))(np.array([9, 5]))
    assert shown.shape == (2, 8, 3 * 8 + 2 * 4, 3)
    for row, moments in enumerate(([6, 7, 9], [1, 3, 5])):
        for place, frame in enumerate(moments):
            assert (shown[row, :, place * 12 : place * 12 + 8] == frame * 20).all()
        assert (shown[row, :, 8:12] == 255).all() and (shown[row, :, 20:24] == 255).all()


def test_a_strip_that_shows_nothing_new_is_refused():
    with pytest.raises(BadInput, match="--strip: must be at least 3"):
        Strip(STARTS, 2)


def test_a_trace_is_drawn_along_the_last_steps_of_the_episode_alone():
    frames = np.zeros((10, 40, 40, 3), np.uint8)
    pixels = np.column_stack([np.arange(10) * 4.0, np.full(10, 10.5)])  # to the right along row 10
    source = traced(lambda i: frames[i], pixels, STARTS, steps=4)
    drawn = source(np.array([5, 7]))
    assert not frames.any()  # the dataset's own pictures are left as they are
    columns = np.flatnonzero(drawn[0].any(-1).any(0))
    assert 7 <= columns.min() <= 9 and 20 <= columns.max() <= 24  # frames 2 to 5: columns 8 to 20 and a dot
    rows = np.flatnonzero(drawn[0].any(-1).any(1))
    assert rows.min() >= 7 and rows.max() <= 13 and abs(rows.mean() - 10) < 1
    assert drawn[0, 10, 9, 2] > drawn[0, 10, 9, 0]  # begins blue
    assert drawn[0, 10, 20, 0] > 200 > drawn[0, 10, 20, 2]  # ends in a yellow dot
    assert np.flatnonzero(drawn[1].any(-1).any(0)).min() >= 23  # frame 5 belongs to the other episode


def test_places_that_are_unknown_or_far_outside_draw_nothing_wrong():
    frames = np.zeros((3, 40, 40, 3), np.uint8)
    pixels = np.array([[5.0, 5.0], [np.nan, np.nan], [1e12, -1e12]])
    drawn = traced(lambda i: frames[i], pixels, np.zeros(3, int), steps=3)(np.array([1, 2]))
    assert not drawn[0].any() and not drawn[1].any()
    with pytest.raises(BadInput, match="--trace: must be at least 2"):
        traced(lambda i: frames[i], pixels, np.zeros(3, int), steps=1)


def test_what_is_told_of_it():
    assert told(None, 0) == ""
    assert "strip" in told(Strip(STARTS, 5), 0) and "line" not in told(Strip(STARTS, 5), 0)
    assert "coloured line" in told(None, 10) and "strip" not in told(None, 10)
