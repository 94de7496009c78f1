"""The section `randomise:` of a task card: ranges from which episodes draw, for policies that transfer."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from robot_rl.specs.yaml_model import SpecModel


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        raise ValueError("must be a range [low, high] with 0 <= low <= high")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Periods = Annotated[tuple[int, int], AfterValidator(_ordered)]


class Randomise(SpecModel):
    """What differs from episode to episode; what is left out stays as the scene has it."""

    light: Range = (1.0, 1.0)  # factor on each light's brightness
    colour: Range = (1.0, 1.0)  # factor on red, green and blue of each material and shape
    camera_shift: float = Field(0.0, ge=0)  # m, largest shift of the point it looks at, along each axis
    camera_turn: float = Field(0.0, ge=0)  # degrees, largest turn of azimuth and elevation
    mass: Range = (1.0, 1.0)  # factor on each body's mass and inertia
    friction: Range = (1.0, 1.0)  # factor on the sliding friction of everything, one an episode
    latency: Periods = (0, 0)  # control periods between an action and its effect
    noise: dict[str, Range] = {}  # unit or name of state parts -> standard deviation; the name goes first
