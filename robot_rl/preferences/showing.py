"""What a labeler is shown in place of a frame: a strip of three moments, the gripper's path drawn on it.

Each function takes a FrameSource and returns another one; labelers and the label store know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput, need
from robot_rl.preferences.types import FrameSource

_GAP = 4  # px of white between the moments of a strip
_OLD, _NEW = (40, 60, 200), (255, 230, 40)  # RGB of a path's first and last piece


@dataclass(frozen=True)
class Strip:
    """Segments of `length` frames inside one episode, each named by its last frame."""

    starts: np.ndarray  # (N,) int64: first frame of the episode that each frame belongs to
    length: int  # frames

    def __post_init__(self) -> None:
        if self.length < 3:
            raise BadInput(f"--strip: must be at least 3 frames, or 1 for single frames, not {self.length}")

    def moments(self, indices: np.ndarray) -> np.ndarray:
        """First, middle and last frame of the segments that end with `indices` (...): (..., 3) int64.

        Near an episode's beginning a segment is shorter: it begins with the episode.
        """
        last = np.asarray(indices, np.int64)
        first = np.maximum(last - self.length + 1, self.starts[last])
        return np.stack([first, (first + last) // 2, last], -1)


def strips(frames: FrameSource, strip: Strip) -> FrameSource:
    """Show segments as pictures (n, H, 3 W + gaps, 3): their first, middle and last frame, left to right."""

    def source(indices: np.ndarray) -> np.ndarray:
        moments = strip.moments(indices)
        used, place = np.unique(moments, return_inverse=True)  # ascending reads are fast, each frame once
        pictures = frames(used)[place.reshape(moments.shape)]
        gap = np.full((len(pictures), pictures.shape[2], _GAP, 3), 255, np.uint8)
        first, middle, last = np.moveaxis(pictures, 1, 0)
        return np.concatenate([first, gap, middle, gap, last], 2)

    return source


def traced(frames: FrameSource, pixels: np.ndarray, starts: np.ndarray, steps: int) -> FrameSource:
    """Draw the path of the last `steps` frames on each picture, from dark blue to a bright dot where it ends.

    `pixels` (N, 2) are columns and rows of the gripper in every frame's picture (NaN where unknown),
    `starts` (N,) the first frame of each frame's episode.
    """
    if steps < 2:
        raise BadInput(f"--trace: must be at least 2 steps, or 0 for none, not {steps}")

    def source(indices: np.ndarray) -> np.ndarray:
        pictures = frames(indices).copy()
        for picture, last in zip(pictures, np.asarray(indices, np.int64), strict=True):
            _draw(picture, pixels[max(last - steps + 1, starts[last]) : last + 1])
        return pictures

    return source


def _draw(picture: np.ndarray, path: np.ndarray) -> None:
    """Draw a path (n, 2) of pixels into a picture (H, W, 3); pieces with an unknown end are left out."""
    cv2 = need("cv2", "vlm")
    width = max(1, round(min(picture.shape[:2]) / 120))
    scale = 16  # cv2 takes sixteenths of a pixel, shifted by 4 bits
    far = 16 * np.array(picture.shape[1::-1])  # beyond this, cv2's numbers overflow
    known = np.isfinite(path).all(1)
    points = np.clip(np.where(known[:, None], path, 0), -far, far) - 0.5  # cv2 counts from a pixel's middle
    points = np.round(points * scale).astype(np.int32)
    for i in np.flatnonzero(known[1:] & known[:-1]):
        part = (i + 1) / (len(path) - 1)
        colour = [round(a + part * (b - a)) for a, b in zip(_OLD, _NEW, strict=True)]
        cv2.line(picture, points[i].tolist(), points[i + 1].tolist(), colour, width, cv2.LINE_AA, 4)
    if known[-1]:
        cv2.circle(picture, points[-1].tolist(), (width + 1) * scale, _NEW, -1, cv2.LINE_AA, 4)


def told(strip: Strip | None, trace: int) -> str:
    """Say in words what the pictures are, for those who are asked; empty for plain frames."""
    parts = []
    if strip is not None:
        parts.append(
            "Each picture is a strip of three moments of one movement, in time from left to right; compare "
            "how far the task has come at the end of each strip, and whether it moves towards the goal."
        )
    if trace:
        parts.append(
            "A coloured line was drawn afterwards: it is the way that the gripper has come, from dark blue "
            "to a yellow dot where it is now."
        )
    return " ".join(parts)
