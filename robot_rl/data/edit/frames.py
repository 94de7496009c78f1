"""Lazy pictures of an edited episode: some of the frames, or a part of each picture."""

from __future__ import annotations

import numpy as np

from robot_rl.data.episode import Frames
from robot_rl.data.video import VideoFrames


class TakenFrames(Frames):
    """The frames at `indices` (n,) of other frames."""

    def __init__(self, frames: Frames | np.ndarray, indices: np.ndarray):
        self._frames, self._indices = frames, np.asarray(indices, np.int64)
        self.shape = (len(self._indices), *frames.shape[1:])

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the frames at `indices` (n,) of those taken."""
        return self._frames[self._indices[indices]]


class CroppedFrames(Frames):
    """A box (top, left, height, width in pixels) of each frame."""

    def __init__(self, frames: Frames | np.ndarray, box: tuple[int, int, int, int]):
        self._frames, self._box = frames, box
        self.shape = (len(frames), box[2], box[3], 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the box of the frames at `indices` (n,)."""
        return crop_picture(self._frames[np.asarray(indices)], self._box)


def crop_picture(pictures: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The box (top, left, height, width) of pictures (..., H, W, 3)."""
    top, left, height, width = box
    return pictures[..., top : top + height, left : left + width, :]


def cut_frames(frames: Frames | np.ndarray, first: int, stop: int) -> Frames | np.ndarray:
    """Frames `first` to `stop` - 1; of a video without decoding, so that they can be copied."""
    if isinstance(frames, VideoFrames):
        return frames.cut(first, stop)
    return TakenFrames(frames, np.arange(first, stop))
