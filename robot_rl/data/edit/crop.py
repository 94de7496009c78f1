"""Cuts an episode in time, and its pictures to a box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from robot_rl.data.edit.frames import CroppedFrames, crop_picture, cut_frames
from robot_rl.data.episode import IMAGE, Episode
from robot_rl.errors import BadInput


@dataclass(frozen=True)
class Crop:
    """What to keep of each episode."""

    first: int | None = None  # step, as in a slice of Python: negative ones count from the end
    stop: int | None = None  # step after the last one
    boxes: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    # camera -> top, left, height, width in pixels


def crop_episode(episode: Episode, crop: Crop, where: str = "episode") -> Episode:
    """The steps `first` to `stop` - 1 with pictures cut to their boxes.

    An episode that loses its last steps ends with the observation at `stop` as its final observation and is
    no longer terminated. Raises BadInput, naming `where`, if fewer than two steps are left.
    """
    first, stop, _ = slice(crop.first, crop.stop).indices(len(episode))
    if stop - first < 2:
        raise BadInput(
            f"{where}: steps {first} to {stop} of {len(episode)} are cut out; at least 2 must be left"
        )
    observations = {
        key: cut_frames(value, first, stop) if key.startswith(IMAGE) else value[first:stop]
        for key, value in episode.observations.items()
    }
    whole = stop == len(episode)
    final = episode.final_observation
    if not whole:
        final = {key: np.asarray(value[stop]) for key, value in episode.observations.items()}
    for camera, box in crop.boxes.items():
        observations[IMAGE + camera] = CroppedFrames(observations[IMAGE + camera], box)
        if final is not None and IMAGE + camera in final:
            final = {**final, IMAGE + camera: crop_picture(np.asarray(final[IMAGE + camera]), box)}
    return replace(
        episode,
        observations=observations,
        actions=episode.actions[first:stop],
        rewards=None if episode.rewards is None else episode.rewards[first:stop],
        success=None if episode.success is None else episode.success[first:stop],
        terminated=episode.terminated and whole,
        final_observation=final,
        labels={name: values[first:stop] for name, values in episode.labels.items()},
    )


def check_box(box: tuple[int, int, int, int], size: tuple[int, int], camera: str) -> None:
    """Raise BadInput where a box leaves a camera's picture of `size` (height, width)."""
    top, left, height, width = box
    if min(top, left) < 0 or min(height, width) < 2 or top + height > size[0] or left + width > size[1]:
        raise BadInput(
            f"picture: {height}x{width} pixels at row {top}, column {left} leave the {size[0]}x{size[1]} of "
            f"camera '{camera}'; give TOP,LEFT,HEIGHTxWIDTH inside it"
        )
