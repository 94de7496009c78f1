"""What all episodes of a dataset share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.video_write import check_size
from robot_rl.errors import BadInput


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
