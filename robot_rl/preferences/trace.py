"""Where the gripper is in the pictures: from a task card's camera, or from what a trace file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.data import layout
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import Camera, TaskCard
from robot_rl.specs.trace import TraceSpec
from robot_rl.specs.yaml_model import load_yaml_model

_HAND = ("hand_x", "hand_y", "hand_z")  # what task cards call the gripper's place
_FIELD_OF_VIEW = 45.0  # degrees, vertical: MuJoCo's default, which a task card's camera keeps


def gripper_pixels(dataset: Dataset, camera: str, card: TaskCard | None, file: Path | None) -> np.ndarray:
    """Columns and rows (N, 2) float64 of the gripper in a camera's pictures, NaN where it is behind it.

    `file` is a trace file (specs.trace.TraceSpec); without one the task card's camera must be the dataset's.
    Raises BadInput where neither says it.
    """
    if file is not None:
        return _by_file(dataset, load_yaml_model(file, TraceSpec), file)
    names = dataset.info.state_names
    if card is None or card.camera.name != camera or not set(_HAND) <= set(names):
        raise BadInput(
            "--trace: nothing says where the gripper is in a picture; give --trace-file with a projection, "
            f"or a task whose card has the camera '{camera}' and the states {', '.join(_HAND)}"
        )
    places = dataset.column(layout.STATE)[:, [names.index(name) for name in _HAND]]
    return project(card.camera, places, dataset.info.cameras[camera])


def project(camera: Camera, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Project points (N, 3) in m onto a card's camera: columns and rows (N, 2) of a picture (height, width).

    MuJoCo's free camera: at `distance` from `look_at` against its view, which `azimuth` turns about the
    vertical and `elevation` tilts. Points behind the camera are NaN.
    """
    azimuth, elevation = np.deg2rad([camera.azimuth, camera.elevation])
    forward = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    seen = np.asarray(points, np.float64) - (np.array(camera.look_at) - camera.distance * forward)
    depth = seen @ forward
    depth = np.where(depth > 1e-6, depth, np.nan)
    height, width = size
    focal = height / 2 / np.tan(np.deg2rad(_FIELD_OF_VIEW / 2))  # px
    columns = width / 2 + focal * (seen @ right) / depth
    rows = height / 2 - focal * (seen @ np.cross(right, forward)) / depth
    return np.stack([columns, rows], -1)


def _by_file(dataset: Dataset, spec: TraceSpec, file: Path) -> np.ndarray:
    """Read pixels from the state, or project a point of it."""
    names, state = dataset.info.state_names, dataset.column(layout.STATE)
    wanted = spec.pixels or spec.point
    for name in wanted:
        if name not in names:
            field = "pixels" if spec.pixels else "point"
            raise BadInput(f"{file}: {field}: the dataset has no state '{name}'.{nearest(name, names)}")
    values = state[:, [names.index(name) for name in wanted]].astype(np.float64)
    if spec.pixels:
        return values
    seen = np.column_stack([values, np.ones(len(values))]) @ np.array(spec.projection).T
    depth = np.where(seen[:, 2] > 1e-6, seen[:, 2], np.nan)
    return seen[:, :2] / depth[:, None]
