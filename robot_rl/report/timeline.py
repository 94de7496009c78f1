"""One episode on one time axis: camera frames above panels of lines, success shaded, findings marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import (
    ACCENT,
    FULL_WIDTH,
    GREEN,
    MUTED,
    ORANGE,
    RED,
    SERIES,
    Line2D,
    figure,
    style,
    to_svg,
)

_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 66, 30, 46  # px around the drawing
_GAP, _LEADER, _BETWEEN, _NAMES = (
    6,
    34,
    14,
    18,
)  # px: frames, down to plots, panels, names
_FRAME_PIXELS = 180  # a frame is shown at about half this width; more pixels would only weigh
_POINTS = 360  # of a line; more would only weigh
_NAMES_A_ROW = 4


@dataclass(frozen=True)
class Panel:
    """Lines over the steps of an episode that share a scale."""

    label: str  # of the scale, with its unit: "state [m]"
    lines: Mapping[str, np.ndarray]  # name -> (T,)
    height: int = 110  # px
    band: np.ndarray | None = None  # (T,) drawn to either side of the only line
    right: tuple[str, np.ndarray] | None = None  # a name and (T,) with a scale of its own at the right
    dots: bool = False  # mark where frames were taken on the only line

    @property
    def named(self) -> bool:
        """Whether the lines need their names beside them."""
        return len(self.lines) > 1 or next(iter(self.lines)) not in ("", self.label)

    @property
    def head(self) -> int:
        """Pixels that the names take above the panel."""
        return _NAMES * -(-len(self.lines) // _NAMES_A_ROW) + 4 if self.named else 0


@dataclass(frozen=True)
class Timeline:
    """What is drawn of one episode."""

    panels: Sequence[Panel]
    fps: float  # Hz
    frames: np.ndarray | None = None  # (n, H, W, 3) uint8
    times: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n,) seconds, of the frames
    success: np.ndarray | None = None  # (T,) bool
    marks: Sequence[tuple[int, int]] = ()  # first and last step of findings
    title: str = ""

    @property
    def length(self) -> int:
        """Steps of the episode."""
        return len(next(iter(self.panels[0].lines.values())))


def frame_steps(length: int, n: int) -> np.ndarray:
    """`n` steps (n,) int64 at the middles of equal parts, so that frames stand over their moments."""
    return np.round((np.arange(n) + 0.5) / n * (length - 1)).astype(np.int64)


def draw_timeline(timeline: Timeline, label: str) -> str:
    """The SVG; `label` says what it shows. Raises BadInput where shapes disagree or a time is outside."""
    _check(timeline)
    frames = timeline.frames
    shown = frames is not None and len(frames) > 0
    tile = (FULL_WIDTH - _LEFT - _RIGHT + _GAP) / len(frames) - _GAP if shown else 0
    strip = tile * frames.shape[1] / frames.shape[2] + _LEADER if shown else 0
    top = _TOP if timeline.title else 8
    panels = sum(panel.height + panel.head + _BETWEEN for panel in timeline.panels) - _BETWEEN
    total = top + strip + panels + _BOTTOM
    seconds = np.arange(timeline.length) / timeline.fps
    with style():
        fig = figure(FULL_WIDTH, total, layout=None)
        y, first = total - top - strip, None
        for panel in timeline.panels:
            y -= panel.head + panel.height
            box = (_LEFT, y, FULL_WIDTH - _LEFT - _RIGHT, panel.height)
            axes = fig.add_axes([v / s for v, s in zip(box, (FULL_WIDTH, total) * 2, strict=True)])
            _draw_panel(axes, panel, seconds, timeline.times)
            _mark(axes, timeline, seconds, first is None)
            first = first or axes
            y -= _BETWEEN
            axes.tick_params(labelbottom=panel is timeline.panels[-1])
        axes.set_xlabel("time [s]")
        for i, time in enumerate(timeline.times if shown else ()):
            _draw_frame(fig, first, (_LEFT + i * (tile + _GAP), tile, total - top), frames[i], time)
        if timeline.title:
            fig.text(_LEFT / FULL_WIDTH, 1 - 8 / total, timeline.title, va="top", fontsize=13, weight="bold")
        return to_svg(fig, label)


def _draw_panel(axes: Any, panel: Panel, seconds: np.ndarray, times: np.ndarray) -> None:
    """The lines with their scale, names above where there are several."""
    for i, (name, values) in enumerate(panel.lines.items()):
        values = np.asarray(values, dtype=np.float64)
        look = {"color": SERIES[i % len(SERIES)], "linestyle": ("-", "--", ":")[i // len(SERIES) % 3]}
        rows = thin(values, _POINTS)
        width = 1.4 if len(panel.lines) > 3 else 2.0
        axes.plot(seconds[rows], values[rows], label=name or panel.label, linewidth=width, **look)
        if panel.band is not None:
            low, high = values - panel.band, values + panel.band
            axes.fill_between(seconds, low, high, color=look["color"], alpha=0.2, linewidth=0)
        if panel.dots:
            axes.plot(times, np.interp(times, seconds, values), "o", color=look["color"], markersize=5)
    axes.set(xlim=(0, seconds[-1]))
    axes.grid(axis="x", visible=False)
    for time in times:
        axes.axvline(time, color=MUTED, linewidth=0.8, alpha=0.35)
    if panel.right is not None:
        _draw_right(axes.twinx(), *panel.right, seconds)
    axes.set_ylabel(panel.label, color=MUTED if panel.named else ACCENT)
    _tidy_scale(axes, -54)
    if panel.named:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            columnspacing=1.6,
            ncols=min(_NAMES_A_ROW, len(panel.lines)),
            borderpad=0,
            borderaxespad=0.2,
            handlelength=1.2,
            handletextpad=0.4,
            labelspacing=0.1,
            fontsize=10.5,
        )


def thin(values: np.ndarray, points: int) -> np.ndarray:
    """At most `points` rows (n,) of `values` (T,) that keep its outline: each part's smallest and largest."""
    if len(values) <= points:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), points // 2 + 1).astype(int)
    finite = np.where(np.isfinite(values), values, 0)
    rows = [
        a + np.array(sorted((finite[a:b].argmin(), finite[a:b].argmax())))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    return np.unique(np.concatenate([[0], *rows, [len(values) - 1]]))


def _tidy_scale(axes: Any, offset: float) -> None:
    """Few ticks, some air, and the scale's name `offset` pixels beside the plot."""
    axes.margins(y=0.14)
    axes.yaxis.get_major_locator().set_params(nbins=4)
    width = FULL_WIDTH - _LEFT - _RIGHT
    axes.yaxis.set_label_coords(offset / width if offset < 0 else 1 + offset / width, 0.5)


def _draw_right(axes: Any, name: str, values: np.ndarray, seconds: np.ndarray) -> None:
    """A line, thin and dashed, on the scale at the right."""
    axes.plot(seconds, np.asarray(values, float), color=ORANGE, linewidth=1.4, linestyle=(0, (4, 2)))
    axes.set_ylabel(name, color=ORANGE)
    axes.grid(visible=False)
    _tidy_scale(axes, 54)


def _mark(axes: Any, timeline: Timeline, seconds: np.ndarray, named: bool) -> None:
    """Shade the steps of findings and those where success holds, and name the first of these."""
    half = seconds[1] / 2
    for first, last in timeline.marks:
        axes.axvspan(seconds[first] - half, seconds[last] + half, color=RED, alpha=0.12, linewidth=0)
    if timeline.success is None:
        return
    success = np.asarray(timeline.success, dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], success, [False]])))
    for first, end in edges.reshape(-1, 2):
        axes.axvspan(seconds[first] - half, seconds[end - 1] + half, color=GREEN, alpha=0.16, linewidth=0)
    # Success often comes with the last step alone; the line shows what a span of one step would not.
    if len(edges) == 0:
        return
    start = seconds[edges[0]]
    axes.axvline(start, color=GREEN, linewidth=1.4)
    if named:
        late = start > 0.85 * seconds[-1]
        look = {"ha": "right" if late else "left", "color": GREEN, "fontsize": 11}
        offset = {"xytext": (-5 if late else 5, 0), "textcoords": "offset points"}
        axes.annotate("success", (start, 0.04), xycoords=axes.get_xaxis_transform(), **offset, **look)


def _draw_frame(fig: Any, axes: Any, box: tuple[float, float, float], frame: np.ndarray, time: float) -> None:
    """One frame at `box` (left, width, top in px), its time below it, a line to that time on the plot."""
    left, tile, top = box
    total = fig.get_figheight() * 72
    tall = tile * frame.shape[0] / frame.shape[1]
    base = (top - tall) / total
    picture = fig.add_axes((left / FULL_WIDTH, base, tile / FULL_WIDTH, tall / total))
    picture.imshow(shrink(frame, _FRAME_PIXELS), interpolation="none", aspect="auto")
    picture.set_axis_off()
    foot = fig.transFigure.inverted().transform(axes.transData.transform((time, axes.get_ylim()[1])))
    centre = (left + tile / 2) / FULL_WIDTH
    fig.text(centre, base - 4 / total, f"{time:.1f} s", ha="center", va="top", fontsize=10.5, color=MUTED)
    leader = ([centre, foot[0]], [base - 20 / total, foot[1]])
    fig.add_artist(Line2D(*leader, color=MUTED, linewidth=1, alpha=0.6, transform=fig.transFigure))


def shrink(frame: np.ndarray, width: int) -> np.ndarray:
    """A frame (H, W, 3) uint8 made smaller by a whole number, to about `width` pixels."""
    step = max(1, round(frame.shape[1] / width))
    height, across = frame.shape[0] // step * step, frame.shape[1] // step * step
    blocks = frame[:height, :across].reshape(height // step, step, across // step, step, 3)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def _check(timeline: Timeline) -> None:
    """Refuse shapes that disagree and times outside the episode."""
    frames, times, length = timeline.frames, timeline.times, timeline.length
    if frames is not None:
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
            raise BadInput(f"timeline: frames must be (n, H, W, 3) uint8, got {frames.shape} {frames.dtype}")
        if times.shape != (len(frames),):
            raise BadInput(f"timeline: needs one time a frame, got {times.shape} for {len(frames)} frames")
    given = {f"{p.label} {name}".strip(): v for p in timeline.panels for name, v in p.lines.items()}
    given |= {p.right[0]: p.right[1] for p in timeline.panels if p.right is not None}
    given |= {"success": timeline.success, **{f"{p.label} band": p.band for p in timeline.panels}}
    for name, values in given.items():
        if values is not None and np.shape(values) != (length,):
            raise BadInput(f"timeline: '{name}' must have {length} steps, got {np.shape(values)}")
    last = (length - 1) / timeline.fps
    if length < 2 or (len(times) and (times.min() < 0 or times.max() > last + 1e-6)):
        raise BadInput(f"timeline: times must lie in the episode, 0 to {last:g} s, and it needs 2 steps")
