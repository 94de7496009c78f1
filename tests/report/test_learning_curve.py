"""The picture of a fine-tuning: what it says, and the files it is written to."""

import xml.etree.ElementTree as ElementTree

import pytest

from robot_rl.errors import BadInput
from robot_rl.report.drawing import style
from robot_rl.report.learning_curve import (
    Point,
    draw,
    draw_comparison,
    learning_curve,
    write_comparison,
    write_learning_curve,
)

POINTS = [Point(0, 0.25, 0.1, 0.5), Point(20_000, 0.8, 0.6, 0.9)]


def test_lines_band_and_start():
    with style():
        axes = draw(POINTS, "drawer", runs=[[0.2, 0.7], [0.3, 0.9]]).axes[0]
    start, one, two, mean, dot = axes.lines
    assert list(start.get_ydata()) == [0.25, 0.25] and list(mean.get_ydata()) == [0.25, 0.8]
    assert list(one.get_ydata()) == [0.2, 0.7] and list(two.get_ydata()) == [0.3, 0.9]
    assert list(dot.get_xdata()) == [0] and list(mean.get_xdata()) == [0, 20_000]
    corners = {tuple(corner) for corner in axes.collections[0].get_paths()[0].vertices.tolist()}
    assert {(0, 0.1), (0, 0.5), (20_000, 0.6), (20_000, 0.9)} <= corners
    assert "offline start, 25%" in [text.get_text() for text in axes.texts]


def test_for_a_page():
    svg = learning_curve(POINTS)
    assert svg.startswith("<svg") and "from 25% to 80%" in svg and "environment steps" in svg


def test_files(tmp_path):
    first, second = (write_learning_curve(tmp_path / name, POINTS) for name in ("a.svg", "b/b.svg"))
    assert ElementTree.fromstring(first.read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    assert first.read_bytes() == second.read_bytes()
    assert write_learning_curve(tmp_path / "a.png", POINTS).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match="written as .svg or .png, not '.gif'"):
        write_learning_curve(tmp_path / "a.gif", POINTS)


def test_mistakes_are_named():
    with pytest.raises(BadInput, match="needs points"):
        draw([])
    with pytest.raises(BadInput, match="runs as long as the 2 of them"):
        draw(POINTS, runs=[[0.1]])


def test_several_curves_and_the_switch(tmp_path):
    curves = {"ours": POINTS, "naive": [Point(0, 0.5, 0.4, 0.6), Point(10_000, 0.0, 0.0, 0.1)]}
    with style():
        fig = draw_comparison(curves, "drawer")
    before_one, one, before_two, two, switch = fig.axes[0].lines
    # Flat at the offline success before the switch, for 8 % of the longest run.
    assert list(before_one.get_xdata()) == [-1600, 0] and list(before_one.get_ydata()) == [0.25, 0.25]
    assert list(before_two.get_ydata()) == [0.5, 0.5] and list(switch.get_xdata()) == [0, 0]
    assert list(one.get_ydata()) == [0.25, 0.8] and list(two.get_xdata()) == [0, 10_000]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["ours", "naive"]
    assert write_comparison(tmp_path / "a.png", curves).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match="at least one curve"):
        write_comparison(tmp_path / "a.png", {})
