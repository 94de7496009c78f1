"""The plots of a report, each as SVG: success rates, accuracy, calibration, curves and distributions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import (
    ACCENT,
    FULL_WIDTH,
    GRID,
    HALF_WIDTH,
    INK,
    MUTED,
    QUIET,
    SERIES,
    figure,
    style,
    to_svg,
)
from robot_rl.report.statistics import calibration_bins, expected_calibration_error, wilson


@dataclass(frozen=True)
class Bar:
    """One row of a success chart: a rate in [0, 1], its interval and the number of episodes behind it."""

    name: str
    mean: float
    low: float
    high: float
    n: int
    note: str = ""
    highlight: bool = False
    published: float | None = None  # a rate in [0, 1] reported elsewhere


def success_bars(rows: Sequence[Bar]) -> str:
    """Success rates in the order given, with intervals, values, n, and published rates as diamonds."""
    if not rows:
        raise BadInput("success_bars: needs at least one row")
    published = [(i, row.published) for i, row in enumerate(rows) if row.published is not None]
    head, foot, row_height = (30 if published else 8), 34, 46
    height = head + foot + row_height * len(rows)
    with style():
        fig = figure(FULL_WIDTH, height, layout=None)
        left = _label_width(rows)
        width = (FULL_WIDTH - left - 150) / FULL_WIDTH
        box = (left / FULL_WIDTH, foot / height, width, row_height * len(rows) / height)
        axes = fig.add_axes(box)
        for i, row in enumerate(rows):
            _success_row(axes, i, row)
        if published:
            _published(axes, published)
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), yticks=[])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
        axes.grid(axis="y", visible=False)
        axes.spines["bottom"].set_visible(False)
        return to_svg(fig, "Success rates: " + "; ".join(f"{row.name} {row.mean:.0%}" for row in rows))


def _published(axes: Any, rates: list[tuple[int, float]]) -> None:
    """Mark the (row, rate) pairs as open diamonds and say what they are."""
    rows, values = zip(*rates, strict=True)
    look = {"color": INK, "markersize": 7, "markerfacecolor": "none", "markeredgewidth": 1.6}
    axes.plot(values, rows, "D", label="published", **look)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0.2, borderaxespad=0.2, handletextpad=0.2)


def _label_width(rows: Sequence[Bar]) -> float:
    """Pixels that the longest name or note needs, by the mean width of a letter; at most half the figure."""
    widest = max(max((8.3 if row.highlight else 7.4) * len(row.name), 6 * len(row.note)) for row in rows)
    return min(max(widest + 24, 130), FULL_WIDTH / 2)


def _success_row(axes: Any, i: int, row: Bar) -> None:
    """Draw row `i`: name and note on the left, bar and whisker, value and n on the right."""
    colour = ACCENT if row.highlight else QUIET
    axes.barh(i, row.mean, height=0.52, color=colour)
    axes.plot([row.low, row.high], [i, i], color=INK, linewidth=1.6, solid_capstyle="butt")
    axes.plot([row.low, row.high], [i, i], "|", color=INK, markersize=9, markeredgewidth=1.6)
    weight = "bold" if row.highlight else "normal"
    side = axes.get_yaxis_transform()
    _two_lines(axes, side, -0.025, i, _short(row.name, 48), _short(row.note, 66), weight, "right")
    value, interval = f"{100 * row.mean:.0f} %", f"{100 * row.low:.0f}–{100 * row.high:.0f} %  ·  n = {row.n}"
    _two_lines(axes, side, 1.03, i, value, interval, weight, "left")


def _short(text: str, letters: int) -> str:
    """Text that fits beside the bars, cut at a word."""
    return textwrap.shorten(text, letters, placeholder=" …")


def _two_lines(
    axes: Any, side: Any, x: float, y: float, upper: str, lower: str, weight: str, align: str
) -> None:
    """A name over a small note, or the name alone on the middle of the row."""
    shift = 0.17 if lower else 0.0
    axes.text(x, y - shift, upper, transform=side, ha=align, va="center", weight=weight, fontsize=13)
    if lower:
        axes.text(x, y + 0.21, lower, transform=side, ha=align, va="center", color=MUTED, fontsize=11)


def accuracy_by_gap(
    gap_edges: np.ndarray, accuracy: np.ndarray, count: np.ndarray, label: str = "gap"
) -> str:
    """Accuracy (B,) over bins of how far apart two frames are, edges (B + 1,), with 95 % Wilson bars."""
    bins = len(count)
    if not len(gap_edges) - 1 == len(accuracy) == bins or not np.any(count):
        raise BadInput(
            f"accuracy_by_gap: {bins} counts, not all 0, need as many accuracies and one edge more"
        )
    keep = [i for i in range(bins) if count[i] > 0]
    spans = [wilson(round(float(accuracy[i]) * int(count[i])), int(count[i])) for i in keep]
    with style():
        fig = figure(HALF_WIDTH, 320)
        axes = fig.subplots()
        side, foot = axes.get_yaxis_transform(), axes.get_xaxis_transform()
        axes.axhline(0.5, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(0.995, 0.507, "chance", transform=side, ha="right", va="bottom", color=MUTED, fontsize=11)
        axes.vlines(keep, [s.low for s in spans], [s.high for s in spans], color=ACCENT, lw=2, alpha=0.55)
        axes.plot(keep, [s.mean for s in spans], "o-", color=ACCENT, markersize=7)
        for i, n in enumerate(count):
            text = f"n={n:,}" if bins <= 6 else f"{n:,}"
            axes.text(i, 0.02, text, transform=foot, ha="center", va="bottom", color=MUTED, fontsize=10.5)
        digits = max(0, 2 - int(np.ceil(np.log10(max(float(gap_edges[-1] - gap_edges[0]), 1e-9)))))
        axes.set_xticks(np.arange(bins + 1) - 0.5, [f"{edge:.{digits}f}" for edge in gap_edges])
        floor = min([0.5] + [s.low for s in spans])
        axes.set(
            ylim=(max(floor - 0.07, -0.05), 1.01), xlim=(-0.5, bins - 0.5), xlabel=label, ylabel="accuracy"
        )
        axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %" if v >= 0 else "")
        axes.grid(axis="x", visible=False)
        return to_svg(fig, "Accuracy from small to large gaps: " + ", ".join(f"{s.mean:.0%}" for s in spans))


def reliability(
    confidence: np.ndarray,
    correct: np.ndarray,
    bins: int = 10,
    labels: tuple[str, str] = ("stated confidence", "share correct"),
) -> str:
    """Reliability diagram of answers (N,): share correct by stated confidence, counts and ECE."""
    table = calibration_bins(confidence, correct, bins)
    error = expected_calibration_error(confidence, correct, bins)
    used = table.count > 0
    left = 0.5 if np.min(confidence) >= 0.5 else 0.0
    with style():
        fig = figure(HALF_WIDTH, 320)
        upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        upper.plot(
            table.confidence[used], table.accuracy[used], "o-", color=ACCENT, markersize=7, clip_on=False
        )
        upper.set_title(f"ECE {error:.3f}", weight="bold")
        upper.set_title(f"n = {table.count.sum():,}", loc="right", color=MUTED, fontsize=12)
        bottom = min(left, float(table.accuracy[used].min()) - 0.03)
        upper.set(xlim=(left, 1), ylim=(max(bottom, 0), 1.01), ylabel=labels[1])
        lower.bar(table.edges[:-1], table.count, width=0.88 / bins, align="edge", color=QUIET)
        lower.set(xlabel=labels[0], ylabel="count", yticks=[0, int(table.count.max())])
        lower.yaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
        lower.grid(visible=False)
        fig.align_ylabels()
        return to_svg(fig, f"Reliability diagram, expected calibration error {error:.3f}")


def curves(
    series: Mapping[str, tuple[np.ndarray, np.ndarray]], ylabel: str, xlabel: str = "step", half: bool = False
) -> str:
    """Lines, name -> (steps (T,), values (T,) or (runs, T)); several runs give mean and min-max band."""
    with style():
        fig = figure(HALF_WIDTH if half else FULL_WIDTH, 320)
        axes = fig.subplots()
        for i, (name, (steps, values)) in enumerate(series.items()):
            runs = np.atleast_2d(np.asarray(values, dtype=np.float64))
            if runs.shape[1] != len(steps):
                raise BadInput(
                    f"curve '{name}': needs a value a step, got {runs.shape[1]} for {len(steps)} steps"
                )
            # Past the sixth colour the same six come again, dashed.
            line = {"color": SERIES[i % len(SERIES)], "linestyle": ("-", "--", ":")[i // len(SERIES) % 3]}
            axes.plot(steps, runs.mean(axis=0), label=name, **line)
            if len(runs) > 1:
                axes.fill_between(
                    steps, runs.min(axis=0), runs.max(axis=0), color=line["color"], alpha=0.16, lw=0
                )
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.margins(x=0.01)
        axes.grid(axis="x", visible=False)
        axes.xaxis.set_major_formatter(lambda v, _: f"{v / 1000:g}k" if abs(v) >= 10_000 else f"{v:g}")
        fig.legend(loc="outside upper left", ncols=2 if half else 4, handlelength=1.4, columnspacing=1.6)
        return to_svg(fig, f"{ylabel} over {xlabel}: {', '.join(series)}")


def histogram(values: np.ndarray, label: str, bins: int = 30) -> str:
    """Distribution of `values` (N,), NaN left out and counted, with the median marked."""
    return _distribution(values, label, bins, None, "values")


def progress_order(values: np.ndarray, label: str = "rank correlation of reward with time") -> str:
    """Distribution over episodes of rank correlations (E,) in [-1, 1]: 1 is a reward that only ever rises."""
    return _distribution(values, label, 20, (-1.0, 1.0), "episodes")


def _distribution(
    values: np.ndarray, label: str, bins: int, span: tuple[float, float] | None, counted: str
) -> str:
    """Histogram of the finite `values` (N,) over `span`, with median and n."""
    values = np.asarray(values, dtype=np.float64).ravel()
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        raise BadInput(f"histogram of '{label}': no finite value among {len(values)}")
    median = float(np.median(finite))
    missing = f", {len(values) - len(finite)} undefined" if len(finite) < len(values) else ""
    with style():
        fig = figure(HALF_WIDTH, 280)
        axes = fig.subplots()
        count, _, _ = axes.hist(finite, bins=bins, range=span, color=QUIET, rwidth=0.9)
        if span:
            axes.set_xticks(np.linspace(*span, 5))
        top = 1.22 * float(np.max(count))
        axes.vlines(median, 0, 1.06 * float(np.max(count)), color=ACCENT, linewidth=2)
        # The label turns inwards where the median stands near an edge.
        low, high = axes.get_xlim()
        align = ("left", "center", "right")[int(np.clip(3 * (median - low) / (high - low), 0, 2))]
        axes.text(
            median,
            1.08 * float(np.max(count)),
            f"median {median:.3g}",
            ha=align,
            va="bottom",
            color=ACCENT,
            weight="bold",
        )
        axes.set(ylim=(0, top), xlabel=label, ylabel=f"{counted} (n = {len(finite):,}{missing})")
        axes.grid(axis="x", visible=False)
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.spines["left"].set_edgecolor(GRID)
        return to_svg(fig, f"Distribution of {label}, median {median:.3g}")
