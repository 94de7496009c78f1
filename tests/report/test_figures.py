"""Figures are SVG that is safe inside a page, with the texts they were given and the values they drew."""

import re

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.figures import (
    Bar,
    accuracy_by_gap,
    curves,
    histogram,
    progress_order,
    reliability,
    success_bars,
)
from robot_rl.report.filmstrip import filmstrip
from robot_rl.report.page import Figure
from robot_rl.report.timeline import frame_steps


def strip(n=4, length=21, **columns):
    """A filmstrip of noise frames over a rising reward at 10 Hz."""
    frames = np.random.default_rng(0).integers(0, 255, (n, 48, 64, 3), dtype=np.uint8)
    times = frame_steps(length, n) / 10
    return filmstrip(frames, times, np.linspace(0, 1, length), np.full(length, 0.1), fps=10, **columns)


FIGURES = {
    "bars": lambda: success_bars(
        [Bar("a", 0.5, 0.3, 0.7, 20, published=0.6), Bar("b", 1, 0.8, 1, 20, "x", True)]
    ),
    "gap": lambda: accuracy_by_gap(np.array([0, 1, 2]), np.array([0.5, np.nan]), np.array([4, 0])),
    "reliability": lambda: reliability(np.array([0.6, 0.9]), np.array([True, False])),
    "curves": lambda: curves(
        {"one": (np.arange(3), np.ones((2, 3))), "two": (np.arange(3), np.ones(3))}, "y"
    ),
    "histogram": lambda: histogram(np.array([1.0, 2.0, np.nan]), "reward"),
    "order": lambda: progress_order(np.array([1.0, 0.4])),
    "filmstrip": lambda: strip(true=np.arange(21), success=np.arange(21) > 15, title="t"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_inline_svg_that_repeats_and_fetches_nothing(name):
    svg = FIGURES[name]()
    assert svg.startswith('<svg role="img" aria-label="')
    assert "http" not in svg and "<style" not in svg
    assert svg == FIGURES[name]()
    Figure(svg, "caption")


def test_no_colour_is_left_without_a_role():
    # Every colour names a variable of the page, or it would not follow dark mode.
    bare = [re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", draw()) for draw in FIGURES.values()]
    assert [c for svg in bare for c in re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg)] == []


def test_two_figures_share_no_id():
    first, second = (set(re.findall(r'id="([^"]+)"', FIGURES[name]())) for name in ("curves", "reliability"))
    assert first and second and not first & second


def test_success_bars_show_value_interval_and_n():
    svg = success_bars([Bar("ours", 0.74, 0.6, 0.84, 50, "note")])
    for text in ("74 %", "60–84 %  ·  n = 50", "ours", "note"):
        assert text in svg
    assert "published" not in svg


def test_texts_are_escaped_and_dollars_are_plain():
    svg = success_bars([Bar("<script>$x^$</script>", 0.5, 0.4, 0.6, 3)])
    assert "<script" not in svg
    assert "&lt;script&gt;$x^$" in svg


def test_reliability_prints_the_error():
    assert "ECE 0.250" in reliability(np.array([0.6, 0.8, 0.2, 0.4]), np.array([1, 0, 0, 0]), bins=2)


def test_histogram_counts_what_is_undefined():
    svg = histogram(np.array([1.0, 3.0, np.nan]), "reward")
    assert "values (n = 2, 1 undefined)" in svg and "median 2" in svg


def test_frame_steps_are_the_middles_of_equal_parts():
    assert frame_steps(9, 4).tolist() == [1, 3, 5, 7]


def test_filmstrip_embeds_each_frame_as_jpeg():
    svg = strip(n=5)
    assert svg.count("data:image/jpeg;base64,") == 5 and "image/png" not in svg
    assert "true reward" not in svg and "success" not in svg


def test_filmstrip_shows_success_at_the_last_step_alone():
    assert ">success</text>" in strip(success=np.arange(21) == 20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: success_bars([]), "at least one row"),
        (lambda: histogram(np.array([np.nan]), "r"), "no finite value"),
        (lambda: curves({"c": (np.arange(3), np.ones(2))}, "y"), "curve 'c'"),
        (lambda: accuracy_by_gap(np.arange(2), np.ones(2), np.ones(2)), "one edge more"),
        (lambda: strip(true=np.arange(3)), "'true reward' must have 21 steps"),
        (lambda: strip(length=1), "times must lie in the episode"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(BadInput, match=message):
        call()
