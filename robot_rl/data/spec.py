"""What all episodes of a dataset share, and where they wait until the dataset is closed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.video_write import check_size
from robot_rl.errors import BadInput

STAGED = re.compile(r"episode-(\d{6,})")


@dataclass(frozen=True)
class DatasetSpec:
    """What all episodes of a dataset share."""

    fps: float  # Hz
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # height, width in pixels
    robot_type: str = "unknown"
    labels: tuple[str, ...] = ()  # further float columns, one number a step
    vectors: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # further observations: names of parts
    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] | None = None  # of a version made from another dataset

    def check(self) -> None:
        """Raise BadInput where a name or size cannot be stored."""
        if not np.isfinite(self.fps) or self.fps <= 0:
            raise BadInput(f"fps is {self.fps}; it must be a positive number of steps a second")
        for camera, (height, width) in self.cameras.items():
            layout.check_name(camera, "cameras")
            check_size(height, width, f"camera '{camera}'")
        taken = {layout.ACTION, layout.REWARD, layout.SUCCESS, layout.DONE, *layout.BOOKKEEPING}
        for label in self.labels:
            layout.check_name(label, "labels")
            if label in taken or label.startswith(layout.OBSERVATION):
                raise BadInput(f"labels: '{label}' is a column of the format itself; choose another name")
        for vector in self.vectors:
            layout.check_name(vector, "vectors")
            if vector == "state" or vector.startswith(("image.", "images.")):
                raise BadInput(f"vectors: '{vector}' is reserved; choose another name")


def staging_of(path: Path) -> Path:
    """Where episodes of the dataset at `path` wait until it is closed."""
    return path.with_name(path.name + ".staging")


def staged_episodes(path: Path) -> dict[int, Path]:
    """Closed episodes of the unfinished dataset at `path`, by index."""
    staging = staging_of(path)
    found = {}
    if staging.is_dir():
        for folder in sorted(staging.iterdir()):
            if match := STAGED.fullmatch(folder.name):
                found[int(match[1])] = folder
    return dict(sorted(found.items()))
