"""A filmstrip: camera frames of one episode above its learned reward, each tied to its moment."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.report.drawing import ACCENT, FULL_WIDTH, GREEN, MUTED, ORANGE, Line2D, figure, style, to_svg

_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 66, 30, 46  # px around the drawing
_GAP, _LEADER, _PLOT = 6, 34, 150  # px: between frames, from frames down to the plot, height of the plot
_FRAME_PIXELS = 216  # a frame is shown at about half this width; more pixels would only weigh


def frame_steps(length: int, n: int) -> np.ndarray:
    """`n` steps (n,) int64 at the middles of equal parts, so that frames stand over their moments."""
    return np.round((np.arange(n) + 0.5) / n * (length - 1)).astype(np.int64)


def filmstrip(
    frames: np.ndarray,
    times: np.ndarray,
    reward_mean: np.ndarray,
    reward_std: np.ndarray,
    true: np.ndarray | None = None,
    success: np.ndarray | None = None,
    title: str = "",
    *,
    fps: float,
) -> str:
    """Frames (n, H, W, 3) uint8 taken at `times` (n,) [s] above the learned reward (T,) and its std (T,).

    `true` (T,) is drawn thin on its own scale at the right, `success` (T,) bool shades where it holds, `fps`
    in Hz places the T steps in time. Raises BadInput where shapes disagree or a time is outside the episode.
    """
    frames, times = np.asarray(frames), np.asarray(times, dtype=np.float64)
    mean, std = (np.asarray(values, dtype=np.float64) for values in (reward_mean, reward_std))
    _check(frames, times, {"reward_mean": mean, "reward_std": std, "true": true, "success": success}, fps)
    tile = (FULL_WIDTH - _LEFT - _RIGHT + _GAP) / len(frames) - _GAP
    total = _TOP + tile * frames.shape[1] / frames.shape[2] + _LEADER + _PLOT + _BOTTOM
    seconds = np.arange(len(mean)) / fps
    with style():
        fig = figure(FULL_WIDTH, total, layout=None)
        inner = 1 - (_LEFT + _RIGHT) / FULL_WIDTH
        axes = fig.add_axes((_LEFT / FULL_WIDTH, _BOTTOM / total, inner, _PLOT / total))
        _draw_reward(axes, seconds, mean, std, times)
        if true is not None:
            _draw_true(axes.twinx(), seconds, np.asarray(true, dtype=np.float64))
        if success is not None:
            _shade_success(axes, seconds, np.asarray(success, dtype=bool))
        for i, time in enumerate(times):
            _draw_frame(fig, axes, _LEFT + i * (tile + _GAP), tile, frames[i], time)
        fig.text(_LEFT / FULL_WIDTH, 1 - 8 / total, title, va="top", fontsize=13, weight="bold")
        return to_svg(fig, f"Filmstrip of {len(frames)} frames over the learned reward. {title}")


def _draw_reward(
    axes: Any, seconds: np.ndarray, mean: np.ndarray, std: np.ndarray, times: np.ndarray
) -> None:
    """The learned reward with its band of one standard deviation, a dot where a frame was taken."""
    axes.fill_between(seconds, mean - std, mean + std, color=ACCENT, alpha=0.2, linewidth=0)
    axes.plot(seconds, mean, color=ACCENT)
    axes.plot(times, np.interp(times, seconds, mean), "o", color=ACCENT, markersize=5)
    axes.set(xlim=(0, seconds[-1]), xlabel="time [s]")
    axes.set_ylabel("learned reward", color=ACCENT)
    axes.grid(axis="x", visible=False)
    _tidy_scale(axes, -54)


def _tidy_scale(axes: Any, offset: float) -> None:
    """Few ticks, some air, and the scale's name `offset` pixels beside the plot."""
    axes.margins(y=0.14)
    axes.yaxis.get_major_locator().set_params(nbins=5)
    width = FULL_WIDTH - _LEFT - _RIGHT
    axes.yaxis.set_label_coords(offset / width if offset < 0 else 1 + offset / width, 0.5)


def _draw_true(axes: Any, seconds: np.ndarray, true: np.ndarray) -> None:
    """The true reward, thin and dashed, on the scale at the right."""
    axes.plot(seconds, true, color=ORANGE, linewidth=1.4, linestyle=(0, (4, 2)))
    axes.set_ylabel("true reward", color=ORANGE)
    axes.grid(visible=False)
    _tidy_scale(axes, 54)


def _shade_success(axes: Any, seconds: np.ndarray, success: np.ndarray) -> None:
    """Shade the steps where `success` (T,) holds and name the first of them."""
    half = seconds[1] / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[False], success, [False]])))
    for first, end in edges.reshape(-1, 2):
        axes.axvspan(seconds[first] - half, seconds[end - 1] + half, color=GREEN, alpha=0.16, linewidth=0)
    # Success often comes with the last step alone; the line shows what a span of one step would not.
    if len(edges) == 0:
        return
    start = seconds[edges[0]]
    axes.axvline(start, color=GREEN, linewidth=1.4)
    late = start > 0.85 * seconds[-1]
    look = {"ha": "right" if late else "left", "color": GREEN, "fontsize": 11}
    offset = {"xytext": (-5 if late else 5, 0), "textcoords": "offset points"}
    axes.annotate("success", (start, 0.04), xycoords=axes.get_xaxis_transform(), **offset, **look)


def _draw_frame(fig: Any, axes: Any, left: float, tile: float, frame: np.ndarray, time: float) -> None:
    """One frame `tile` pixels wide at `left`, its time below it, a thin line to that time on the plot."""
    total = fig.get_figheight() * 72
    base = (_BOTTOM + _PLOT + _LEADER) / total
    tall = tile * frame.shape[0] / frame.shape[1] / total
    picture = fig.add_axes((left / FULL_WIDTH, base, tile / FULL_WIDTH, tall))
    step = max(1, frame.shape[1] // _FRAME_PIXELS)
    height, width = frame.shape[0] // step * step, frame.shape[1] // step * step
    blocks = frame[:height, :width].reshape(height // step, step, width // step, step, 3)
    picture.imshow(blocks.mean(axis=(1, 3)).astype(np.uint8), interpolation="none", aspect="auto")
    picture.set_axis_off()
    foot = fig.transFigure.inverted().transform(axes.transData.transform((time, axes.get_ylim()[1])))
    centre = (left + tile / 2) / FULL_WIDTH
    fig.text(centre, base - 4 / total, f"{time:.1f} s", ha="center", va="top", fontsize=10.5, color=MUTED)
    leader = ([centre, foot[0]], [base - 20 / total, foot[1]])
    fig.add_artist(Line2D(*leader, color=MUTED, linewidth=1, alpha=0.6, transform=fig.transFigure))
    axes.axvline(time, color=MUTED, linewidth=0.8, alpha=0.35)


def _check(frames: np.ndarray, times: np.ndarray, columns: dict[str, Any], fps: float) -> None:
    """Refuse shapes that disagree and times outside the episode."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise BadInput(f"filmstrip: frames must be (n, H, W, 3) uint8, got {frames.shape} {frames.dtype}")
    if times.shape != (len(frames),):
        raise BadInput(f"filmstrip: needs one time a frame, got {times.shape} for {len(frames)} frames")
    length = len(columns["reward_mean"])
    for name, values in columns.items():
        if values is not None and np.shape(values) != (length,):
            raise BadInput(
                f"filmstrip: {name} must be as long as reward_mean ({length},), got {np.shape(values)}"
            )
    last = (length - 1) / fps
    if length < 2 or times.min() < 0 or times.max() > last + 1e-6:
        raise BadInput(
            f"filmstrip: times must lie in the episode, 0 to {last:g} s, got up to {times.max():g} s"
        )
