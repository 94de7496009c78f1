"""The plots of a dataset as a whole: its episodes side by side, histograms of its channels, its clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import (
    ACCENT,
    FULL_WIDTH,
    GREEN,
    GRID,
    HALF_WIDTH,
    INK,
    MUTED,
    QUIET,
    figure,
    style,
    to_svg,
)

_COLUMNS, _CELL = 4, 118  # histograms a row, height of one in px
_SAMPLE = 200_000  # values of a histogram; more would only take time


def episode_overview(lengths: np.ndarray, returns: np.ndarray | None, success: np.ndarray | None) -> str:
    """Steps and, where known, the return of each episode (E,), green where it succeeds (E,) bool."""
    number = np.arange(len(lengths))
    rows = [("steps", np.asarray(lengths))] + (
        [("return", np.asarray(returns))] if returns is not None else []
    )
    reached = np.zeros(len(lengths), bool) if success is None else np.asarray(success, bool)
    with style():
        fig = figure(FULL_WIDTH, 60 + 120 * len(rows))
        panels = np.atleast_1d(fig.subplots(len(rows), 1, sharex=True))
        for axes, (name, values) in zip(panels, rows, strict=True):
            axes.vlines(number, min(0, float(values.min())), values, color=GRID, linewidth=1)
            size = 5 if len(lengths) <= 100 else 2.5
            for mask, colour, label in ((~reached, QUIET, "no success"), (reached, GREEN, "success")):
                if mask.any():
                    axes.plot(number[mask], values[mask], "o", color=colour, markersize=size, label=label)
            axes.set_ylabel(name)
            axes.grid(axis="x", visible=False)
            axes.yaxis.get_major_locator().set_params(nbins=4)
        panels[-1].set_xlabel("episode")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        panels[-1].margins(x=0.01)
        if success is not None:
            fig.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return to_svg(fig, f"Steps and returns of {len(lengths)} episodes")


def channel_histograms(values: np.ndarray, names: Sequence[str], units: Sequence[str]) -> str:
    """A small histogram of each channel of (N, K), with its name, unit, smallest and largest value."""
    if values.ndim != 2 or values.shape[1] != len(names) or not len(names):
        raise BadInput(f"histograms: values {values.shape} need as many names, not {len(names)}")
    rows = -(-len(names) // _COLUMNS)
    step, height = max(1, len(values) // _SAMPLE), _CELL * rows
    width = FULL_WIDTH / _COLUMNS
    with style():
        fig = figure(FULL_WIDTH, height, layout=None)
        for k, name in enumerate(names):
            row, column = divmod(k, _COLUMNS)
            box = (column * width + 8, height - row * _CELL - 92, width - 30, 66)
            axes = fig.add_axes([v / s for v, s in zip(box, (FULL_WIDTH, height) * 2, strict=True)])
            _small_histogram(axes, values[::step, k], name, units[k])
        return to_svg(fig, f"Histograms of {', '.join(names)}")


def _small_histogram(axes: Any, values: np.ndarray, name: str, unit: str) -> None:
    finite = values[np.isfinite(values)].astype(np.float64)
    room = 24 - len(unit)
    short = name if len(name) <= room else name[: room // 2 - 1] + "…" + name[-(room // 2) :]
    axes.set_title(f"{short} [{unit}]" if unit else short, fontsize=11, pad=4)
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelsize=10, pad=3)
    if not len(finite) or finite.min() == finite.max():
        text = f"always {finite[0]:.4g}" if len(finite) else "no finite value"
        axes.text(0.5, 0.4, text, transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_xticks([])
        return
    low, high = float(finite.min()), float(finite.max())
    axes.stairs(*np.histogram(finite, 30), fill=True, color=ACCENT)
    axes.set(xlim=(low, high), ylim=(0, None))
    axes.set_xticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set_ha(side)


def step_times(milliseconds: np.ndarray, expected: float) -> str:
    """How long the steps (N,) of the time stamps take, in ms on a logarithmic count, beside the expected."""
    values = np.asarray(milliseconds, np.float64)
    low, high = np.quantile(values, [0, 1])
    pad = max(0.1 * expected, 0.02 * (high - low))
    with style():
        fig = figure(HALF_WIDTH, 260)
        axes = fig.subplots()
        axes.hist(values, bins=50, range=(min(low, expected) - pad, max(high, expected) + pad), color=QUIET)
        axes.axvline(expected, color=ACCENT, linewidth=2)
        axes.annotate(
            f"expected {expected:.4g} ms",
            (expected, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(5, -2),
            textcoords="offset points",
            color=ACCENT,
            va="top",
        )
        axes.set(yscale="log", xlabel="time between steps [ms]", ylabel=f"steps (n = {len(values):,})")
        axes.grid(axis="x", visible=False)
        axes.spines["left"].set_edgecolor(INK)
        return to_svg(fig, f"Time between steps, {low:.4g} to {high:.4g} ms")
