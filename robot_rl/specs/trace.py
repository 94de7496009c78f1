"""The trace file: where a robot's gripper is in the pictures of one camera."""

from __future__ import annotations

from pydantic import model_validator

from robot_rl.specs.yaml_model import SpecModel

Row = tuple[float, float, float, float]


class TraceSpec(SpecModel):
    """Either `point` with `projection`, or `pixels`; all are names of the dataset's state parts."""

    point: tuple[str, str, str] | None = None  # x, y, z of the gripper, in the unit of `projection`
    projection: tuple[Row, Row, Row] | None = None  # K [R | t]: (x, y, z, 1) -> (u w, v w, w), u and v in px
    pixels: tuple[str, str] | None = None  # column and row in px, where the robot records them itself

    @model_validator(mode="after")
    def _one_way(self) -> TraceSpec:
        if (self.pixels is None) == (self.point is None) or (self.point is None) != (self.projection is None):
            raise ValueError("must hold either point and projection, or pixels alone")
        return self
