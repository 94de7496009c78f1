"""Loads Go2's scenes from sim/go2 and draws rough ground from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.errors import need
from robot_rl.specs.paths import outside

mujoco = need("mujoco", "sim")

FLAT_AROUND = 0.5  # m around the origin, where a robot starts
ARM_MOUNT = (0.0, 0.0, 0.057)  # m in the trunk's frame, on its back
ARM_HOME = np.array([0.0, 1.7, -1.4, -0.3, 0.0, 0.0])  # rad: the gripper ahead of the trunk and above it
_COARSE = 4  # cells between two independent heights


def load_scene(ground: str, arm: bool = False) -> Any:
    """The MjModel of sim/go2/<ground>.xml, with the arm of sim/go2/z1.xml on the trunk where asked."""
    spec = mujoco.MjSpec.from_file(str(outside("sim", "go2", f"{ground}.xml")))
    if arm:
        z1 = mujoco.MjSpec.from_file(str(outside("sim", "go2", "z1.xml")))
        spec.body("base").add_frame(pos=ARM_MOUNT).attach_body(z1.body("link00"), "arm_", "")
    return spec.compile()


class RoughGround:
    """The height field of a scene, whose heights (m) change with every episode."""

    def __init__(self, model: Any, roughness: float) -> None:
        self._model, self._roughness = model, roughness
        field = model.hfield("ground")
        self._rows, self._columns = int(field.nrow[0]), int(field.ncol[0])
        self._half, self._scale = field.size[:2], field.size[2]  # m
        self._cells = np.zeros((self._rows, self._columns))

    def draw(self, rng: np.random.Generator) -> None:
        """Smooth hills between 0 and `roughness` with a grain of a fifth of it, flat at the start."""
        shape = (self._rows - 1) // _COARSE + 1, (self._columns - 1) // _COARSE + 1
        hills = _between(rng.uniform(0, 0.8, shape))
        cells = hills + rng.uniform(0, 0.2, hills.shape)
        x = np.linspace(-self._half[0], self._half[0], self._columns)
        y = np.linspace(-self._half[1], self._half[1], self._rows)
        distance = np.hypot(*np.meshgrid(x, y))
        self._cells = self._roughness * cells * np.clip(distance / FLAT_AROUND - 1, 0, 1)
        self._model.hfield_data[:] = (self._cells / self._scale).ravel()

    def height(self, x: float, y: float) -> float:
        """The ground's height (m) at a place, that of the nearest cell; the edge goes on outside."""
        column = (x / self._half[0] + 1) / 2 * (self._columns - 1)
        row = (y / self._half[1] + 1) / 2 * (self._rows - 1)
        row = min(max(round(row), 0), self._rows - 1)
        return float(self._cells[row, min(max(round(column), 0), self._columns - 1)])


def _between(coarse: np.ndarray) -> np.ndarray:
    """Fill in the cells between coarse heights, linearly along both axes."""
    for axis in (0, 1):
        first, last = 0, coarse.shape[axis] - 1
        fine = np.linspace(first, last, last * _COARSE + 1)
        low = np.minimum(fine.astype(int), last - 1)
        share = np.expand_dims(fine - low, 1 - axis)
        coarse = coarse.take(low, axis) * (1 - share) + coarse.take(low + 1, axis) * share
    return coarse
