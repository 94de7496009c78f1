"""A filmstrip: camera frames of one episode above its learned reward, each tied to its moment."""

from __future__ import annotations

import numpy as np

from robot_rl.report.timeline import Panel, Timeline, draw_timeline


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
    right = None if true is None else ("true reward", np.asarray(true))
    label = "learned reward"
    panel = Panel(label, {"": np.asarray(reward_mean)}, 150, np.asarray(reward_std), right, dots=True)
    timeline = Timeline([panel], fps, np.asarray(frames), np.asarray(times, float), success, title=title)
    return draw_timeline(timeline, f"Filmstrip of {len(frames)} frames over the learned reward. {title}")
