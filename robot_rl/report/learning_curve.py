"""The picture of a fine-tuning: success over environment steps, from the offline start, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import ACCENT, FULL_WIDTH, INK, MUTED, figure, style, to_svg


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
    if path.suffix not in (".svg", ".png"):
        raise BadInput(f"{path}: a picture is written as .svg or .png, not '{path.suffix}'")
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        # Unlike inside a page, nothing says what lies behind the picture.
        fig = draw(points, title, runs)
        fig.savefig(
            path, dpi=144, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else {}
        )
    return path
