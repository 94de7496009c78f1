"""What a Go2 task card may say under `options`, checked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError

from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import TaskCard
from robot_rl.specs.yaml_model import SpecModel


class Options(SpecModel):
    """Defaults are those of a walk on flat ground; ranges are what an episode draws from, from–to."""

    ground: Literal["flat", "rough"] = "flat"
    roughness: float = Field(0.05, ge=0, le=0.2)  # m, from the lowest to the highest ground
    latency: float = Field(0.008, ge=0)  # s from an action to the motors, at most one control step
    clock_rate: float = Field(3.0, gt=0)  # Hz, strides of the gait clock that the state shows
    hip_range: float = Field(1.0, gt=0)  # rad from the stance at an action of ±1
    thigh_range: float = Field(2.4, gt=0)
    calf_range: float = Field(0.95, gt=0)
    arm_range: float = Field(1.2, gt=0)  # of each joint of the arm, where there is one
    forward_from: float = 0.3  # m/s
    forward_to: float = 0.7
    left_from: float = -0.1  # m/s
    left_to: float = 0.1
    turn_from: float = -0.3  # rad/s
    turn_to: float = 0.3


def read_options(card: TaskCard) -> Options:
    """Read a card's options; raises BadInput naming the field."""
    known = list(Options.model_fields)
    for name in card.options:
        if name not in known:
            raise BadInput(f"{card.name}: options: unknown field '{name}'.{nearest(name, known)}")
    try:
        found = Options(**card.options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{card.name}: options.{where}: {first['msg']}, not {first['input']!r}") from error
    if found.latency > 1 / card.control_rate:
        raise BadInput(
            f"{card.name}: options.latency: {found.latency} s is longer than a control step of "
            f"{1 / card.control_rate:g} s; give at most one step"
        )
    for name in ("forward", "left", "turn"):
        low, high = getattr(found, f"{name}_from"), getattr(found, f"{name}_to")
        if low > high:
            raise BadInput(f"{card.name}: options.{name}_from: {low} is above {name}_to, {high}")
    return found
