"""The direction of gravity in a body's frame as an orientation, for a simulation that knows but the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.deploy.interface import SourceWriter
from robot_rl.specs.robot_contract import Source

_AXES = {f"gravity_{axis}": index for index, axis in enumerate("xyz")}


def orientation_of(gravity: np.ndarray) -> np.ndarray:
    """The quaternion (w, x, y, z) of a body without yaw that sees gravity (3,), a unit vector, so.

    The shortest turn from the body's up, r = -gravity, to the world's: (1 + r_z, r_y, -r_x, 0), normed.
    """
    x, y, z = -np.asarray(gravity, np.float64)
    if z < -1 + 1e-9:
        return np.array([0.0, 1.0, 0.0, 0.0])  # on its back
    found = np.array([1 + z, y, -x, 0.0])
    return found / np.linalg.norm(found)


class OrientingWriter(SourceWriter):
    """A source's writer that turns `….gravity_x`, `_y`, `_z` into the orientation that they are read from."""

    def __init__(self, source: Source) -> None:
        self._gravity: dict[str, tuple[str, int]] = {}  # state part -> path of the orientation, axis
        plain = {}
        for name, part in source.parts.items():
            path, _, last = part.field.rpartition(".")
            if last in _AXES:
                self._gravity[name] = path, _AXES[last]
            else:
                plain[name] = part
        super().__init__(source.model_copy(update={"parts": plain}))

    def __call__(self, message: Any, values: Mapping[str, float]) -> Any:
        """Fill `message` from state parts, and return it; gravity that is not given points down."""
        super().__call__(message, values)
        for path in dict.fromkeys(path for path, _ in self._gravity.values()):
            gravity = np.array([0.0, 0.0, -1.0])
            for name, (where, axis) in self._gravity.items():
                if where == path:
                    gravity[axis] = values[name]
            target = message
            for name in path.split("."):
                target = getattr(target, name)
            w, x, y, z = orientation_of(gravity / np.linalg.norm(gravity)).tolist()
            target.w, target.x, target.y, target.z = w, x, y, z
        return message
