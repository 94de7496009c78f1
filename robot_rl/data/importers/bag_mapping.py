"""Which topics and message fields of a bag make up the state, the actions and the cameras."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from robot_rl.errors import BadInput
from robot_rl.specs.message_fields import DERIVED, reader
from robot_rl.specs.robot_contract import FIELD
from robot_rl.specs.yaml_model import SpecModel, load_yaml_model

_STEP = re.compile(r"([A-Za-z_]\w*)(?:\[([^\[\]]+)\])?")
_PATH = re.compile(rf"{_STEP.pattern}(?:\.{_STEP.pattern})*")


class TopicField(SpecModel):
    """One number of a message: `twist.linear.x`, `position[2]`, or `position[elbow]` by its `name`.

    The value is scale * number + offset, in `unit`. A path may also be written as in a robot contract.
    """

    name: str  # of the part, e.g. "elbow"
    topic: str  # e.g. "/joint_states"
    path: str
    unit: str = ""
    scale: float = Field(1.0, allow_inf_nan=False)
    offset: float = Field(0.0, allow_inf_nan=False)
    default: float | None = None  # until the topic's first message; without one, steps begin with that

    @field_validator("path")
    @classmethod
    def _is_path(cls, value: str) -> str:
        if not _PATH.fullmatch(value) and not FIELD.match(value):
            raise ValueError("must be field names with dots, e.g. twist.linear.x or position[elbow]")
        return value


class BagMapping(SpecModel):
    """The contents of a mapping file."""

    rate: float = Field(gt=0, le=10_000)  # steps a second, Hz; topics are resampled to it by their last value
    state: tuple[TopicField, ...] = Field(min_length=1)
    actions: tuple[TopicField, ...] = Field(min_length=1)
    cameras: dict[str, str] = {}  # name of the camera -> topic of its pictures
    robot: str = "unknown"
    stale_after: float = Field(0.5, gt=0)  # seconds without a message that are noted
    stamped: tuple[str, ...] = ()  # topics whose headers say the time; default when they were recorded
    frames: dict[str, str] = {}  # topic -> the frame_id that its headers must have
    previous: dict[str, str] = {}  # further state part -> action whose last value it holds
    contract: str | None = None  # the robot contract that all this is from
    executed: str | None = None  # topic of what a guard executed: each of its messages is a step
    resume_within: float = Field(0.5, ge=0)  # s that a guard may stop within one episode

    @model_validator(mode="after")
    def _names_differ(self) -> BagMapping:
        for kind in ("state", "actions"):
            names = [field.name for field in getattr(self, kind)]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"{kind}: the name '{twice[0]}' is there twice")
        return self

    @property
    def topics(self) -> list[str]:
        """Topics of numbers, each once."""
        return list(dict.fromkeys(field.topic for field in (*self.state, *self.actions)))

    @property
    def awaited(self) -> list[str]:
        """Topics of numbers that steps begin with."""
        fields = (*self.state, *self.actions)
        return list(dict.fromkeys(field.topic for field in fields if field.default is None))

    @property
    def state_names(self) -> list[str]:
        """Names of the state's numbers, in order."""
        return [*(field.name for field in self.state), *self.previous]

    @property
    def units(self) -> dict[str, list[str]]:
        """As a dataset's metadata has them; nothing where no unit is given."""
        state = [*(field.unit for field in self.state), *("" for _ in self.previous)]
        told = {"state_units": state, "action_units": [field.unit for field in self.actions]}
        return {name: units for name, units in told.items() if any(units)}


def load_mapping(path: Path) -> BagMapping:
    """Read a mapping file (YAML); BadInput names file, field and rule."""
    return load_yaml_model(path, BagMapping)


@lru_cache(maxsize=1024)
def split(path: str) -> tuple[str, ...]:
    """The steps of a path; a dot inside brackets belongs to a name."""
    return tuple(re.findall(r"(?:[^.\[]|\[[^\]]*\])+", path))


_reader = lru_cache(maxsize=1024)(reader)


def value_at(message: Any, path: str, where: str) -> float:
    """The number at a path of a decoded message; BadInput names the step that is not there."""
    if "{" in path:
        return _by_contract(message, path, where)
    here = message
    for step in split(path):
        name, key = _STEP.fullmatch(step).groups()
        owner = here
        if not hasattr(here, name):
            if name in DERIVED:
                return _by_contract(message, path, where)
            known = ", ".join(getattr(type(here), "__slots__", ()) or vars(here))
            raise BadInput(f"{where}: '{path}': the message has no field '{name}'; it has {known}")
        here = getattr(here, name)
        if key is not None:
            here = _element(owner, here, key, f"{where}: '{path}'")
    try:
        return float(here)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: '{path}' is {type(here).__name__}; it must be a number") from error


def _by_contract(message: Any, path: str, where: str) -> float:
    """The number at a path that only contracts write: a joint by its name, or the direction of gravity."""
    try:
        return _reader(path)(message)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def _element(owner: Any, values: Any, key: str, where: str) -> Any:
    """Element `key` of an array: by its number, or by the place of that name in the message's `name`."""
    if key.lstrip("-").isdecimal():
        index = int(key)
    else:
        names = list(getattr(owner, "name", None) or getattr(owner, "joint_names", None) or [])
        if key not in names:
            raise BadInput(f"{where}: the message names {names}, not '{key}'")
        index = names.index(key)
    try:
        return values[index]
    except (IndexError, TypeError, KeyError) as error:
        size = len(values) if hasattr(values, "__len__") else "no"
        raise BadInput(f"{where}: the array has {size} elements; '{key}' is not among them") from error
