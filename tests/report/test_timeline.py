"""Timelines: what is drawn, how long lines are thinned, and what is refused."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.dataset_figures import channel_histograms, episode_overview, step_times
from robot_rl.report.page import Figure
from robot_rl.report.timeline import Panel, Timeline, draw_timeline, shrink, thin

WAVE = np.sin(np.linspace(0, 9, 50))


def test_thinned_lines_keep_their_peaks():
    values = np.zeros(10_000)
    values[[1234, 7777]] = [5, -3]
    values[5000] = np.nan
    rows = thin(values, 100)
    assert len(rows) <= 102 and {0, 1234, 7777, 9999} <= set(rows.tolist())
    np.testing.assert_array_equal(thin(values[:100], 100), np.arange(100))


def test_names_units_marks_and_success():
    panels = [Panel("state [m]", {"hand_x": WAVE, "hand_y": -WAVE}), Panel("reward", {"": WAVE})]
    plain = draw_timeline(Timeline(panels, 10.0), "plain")
    for text in ("hand_x", "hand_y", "state [m]", "reward", "time [s]"):
        assert f">{text}</text>" in plain
    assert "data:image" not in plain and ">success</text>" not in plain
    marked = Timeline(panels, 10.0, success=WAVE > 0.9, marks=[(3, 8)])
    svg = draw_timeline(marked, "marked")
    assert svg.count(">success</text>") == 1 and svg.count("var(--red") > plain.count("var(--red")
    Figure(svg, "")


def test_shrink():
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    small = shrink(frame, 3)
    assert small.shape == (2, 3, 3) and small[0, 0, 0] == (0 + 3 + 18 + 21) // 4
    assert shrink(frame, 100).shape == frame.shape


def test_figures_of_a_dataset_are_inert_svg():
    values = np.stack([WAVE, np.full(50, 2.0), np.full(50, np.nan)], 1)
    svg = channel_histograms(values, ["a", "b", "c"], ["rad", "", ""])
    assert ">a [rad]</text>" in svg and ">always 2</text>" in svg and ">no finite value</text>" in svg
    Figure(svg, "")
    Figure(episode_overview(np.array([3, 4]), np.array([0.5, 1.0]), np.array([True, False])), "")
    Figure(episode_overview(np.array([3]), None, None), "")
    assert "expected 50 ms" in step_times(np.array([50.0, 50.0, 190.0]), 50.0)


@pytest.mark.parametrize(
    ("timeline", "words"),
    [
        (Timeline([Panel("r", {"": WAVE[:1]})], 10.0), "2 steps"),
        (Timeline([Panel("r", {"": WAVE}), Panel("s", {"x": WAVE[:9]})], 10.0), "'s x' must have 50 steps"),
        (Timeline([Panel("r", {"": WAVE})], 10.0, success=np.ones(3, bool)), "'success' must have 50"),
        (
            Timeline([Panel("r", {"": WAVE})], 10.0, np.zeros((1, 8, 8, 3), np.uint8), np.array([9.0])),
            "times must lie",
        ),
        (Timeline([Panel("r", {"": WAVE})], 10.0, np.zeros((1, 8, 8)), np.zeros(1)), "uint8"),
    ],
)
def test_what_does_not_fit_is_named(timeline, words):
    with pytest.raises(BadInput, match=words):
        draw_timeline(timeline, "")
