"""The picture of a fine-tuning: success over environment steps, from the offline start, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import ACCENT, FULL_WIDTH, HALF_WIDTH, INK, MUTED, SERIES, figure, style, to_svg


@dataclass(frozen=True)
class Point:
    """Success in [0, 1] at one moment, with its 95 % interval."""

    step: int  # environment steps so far; 0 is the policy as it came out of the data
    mean: float
    low: float
    high: float


def draw(points: Sequence[Point], title: str = "", runs: Sequence[Sequence[float]] = ()):
    """The curve as a matplotlib figure; `runs` are thin lines, each with a value a point."""
    if not points or any(len(run) != len(points) for run in runs):
        raise BadInput(f"learning curve: needs points, and runs as long as the {len(points)} of them")
    steps, start = np.array([p.step for p in points]), points[0]
    fig = figure(FULL_WIDTH, 340)
    axes = fig.subplots()
    axes.axhline(start.mean, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.fill_between(
        steps, [p.low for p in points], [p.high for p in points], color=ACCENT, alpha=0.16, lw=0
    )
    for run in runs:
        axes.plot(steps, run, color=ACCENT, alpha=0.4, linewidth=1)
    axes.plot(steps, [p.mean for p in points], "o-", color=ACCENT, markersize=5, clip_on=False)
    axes.plot(start.step, start.mean, "o", color=INK, markersize=8, clip_on=False)
    label = f"offline start, {start.mean:.0%}"
    side = axes.get_yaxis_transform()
    axes.text(0.99, start.mean + 0.01, label, transform=side, ha="right", va="bottom", color=MUTED)
    axes.set(ylim=(0, 1.02), xlabel="environment steps", ylabel="success", title=title)
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
    axes.xaxis.set_major_formatter(lambda v, _: f"{v / 1000:g}k" if abs(v) >= 10_000 else f"{v:g}")
    axes.margins(x=0.02)
    axes.grid(axis="x", visible=False)
    return fig


def learning_curve(points: Sequence[Point], title: str = "", runs: Sequence[Sequence[float]] = ()) -> str:
    """The curve as SVG to put inside HTML; raises BadInput without points."""
    with style():
        label = f"Success over environment steps, from {points[0].mean:.0%} to {points[-1].mean:.0%}"
        return to_svg(draw(points, title, runs), label)


def write_learning_curve(
    path: Path, points: Sequence[Point], title: str = "", runs: Sequence[Sequence[float]] = ()
) -> Path:
    """Write the curve as a file of its own, SVG or PNG by its ending; raises BadInput for another one."""
    with style():
        return _save(path, lambda: draw(points, title, runs))


def _save(path: Path, drawn: Callable[[], Any]) -> Path:
    """Write a figure as SVG or PNG by the file's ending; raises BadInput for another one."""
    if path.suffix not in (".svg", ".png"):
        raise BadInput(f"{path}: a picture is written as .svg or .png, not '{path.suffix}'")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unlike inside a page, nothing says what lies behind the picture.
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    drawn().savefig(path, dpi=144, facecolor="white", metadata=metadata)
    return path


def draw_comparison(curves: Mapping[str, Sequence[Point]], title: str = ""):
    """Several ways of going on online, by name, in one figure; each is flat before the switch at step 0."""
    if not curves or not all(curves.values()):
        raise BadInput("learning curve: needs at least one curve, and points in each")
    before = -0.08 * max(points[-1].step for points in curves.values())
    fig = figure(HALF_WIDTH, 330)
    axes = fig.subplots()
    for (name, points), colour, marker in zip(curves.items(), cycle(SERIES), cycle("os^D"), strict=False):
        steps, start = [p.step for p in points], points[0].mean
        axes.fill_between(
            steps, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.15, lw=0
        )
        axes.plot([before, 0], [start, start], color=colour, linestyle=(0, (2, 2)))
        axes.plot(
            steps, [p.mean for p in points], marker=marker, color=colour, markersize=4, label=name,
            clip_on=False,
        )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1.2)
    axes.annotate("goes online", (0, 1), (5, 2), textcoords="offset points", va="bottom", color=INK)
    axes.set(ylim=(0, 1.02), xlabel="environment steps online", ylabel="success")
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
    axes.xaxis.set_major_formatter(lambda v, _: f"{v / 1000:g}k" if abs(v) >= 1000 else f"{v:g}")
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", visible=False)
    axes.margins(x=0.04)
    fig.suptitle(title, x=0.02, ha="left", fontsize=13)
    fig.legend(loc="outside lower center", ncols=len(curves))
    return fig


def write_comparison(path: Path, curves: Mapping[str, Sequence[Point]], title: str = "") -> Path:
    """Write several curves as one picture, SVG or PNG by its ending; raises BadInput for another one."""
    with style():
        return _save(path, lambda: draw_comparison(curves, title))
