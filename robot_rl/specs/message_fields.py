"""Reads one number of a message by the path that a robot contract names, and finds the places on the way.

Works on anything with the attributes of a ROS message, so that no ROS is needed to test it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import FIELD

_STEP = re.compile(r"([a-z][a-z0-9_]*)(?:\[(\d+)\])?\.")
_UNIT_NORM = 0.05  # an orientation's squared norm may differ from 1 by this
# Where gravity points, seen from the body: minus the third row of the body's rotation matrix.
DERIVED = {
    "gravity_x": lambda q: 2 * (q.w * q.y - q.x * q.z),
    "gravity_y": lambda q: -2 * (q.y * q.z + q.w * q.x),
    "gravity_z": lambda q: 2 * (q.x * q.x + q.y * q.y) - 1,
}


def reader(path: str) -> Callable[[Any], float]:
    """Return a function from a message to the number at `path`; it raises BadInput where none is there.

    A joint's number is found by its name in the message's `name` or `joint_names`, never by its place.
    """
    inner, last, index, joint = split(path)
    derived = DERIVED.get(last)

    def read(message: Any) -> float:
        owner = walk(message, inner, path)
        if derived:
            return float(derived(_orientation(owner, path)))
        value = attribute(owner, last, path)
        if joint is not None:
            value = element(
                value, place_of(attribute(message, names_field(message), path), joint, path), path
            )
        elif index is not None:
            value = element(value, index, path)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise BadInput(f"{path}: holds {type(value).__name__}, not a number") from None

    return read


def split(path: str) -> tuple[list[tuple[str, int | None]], str, int | None, str | None]:
    """Take a path apart: steps on the way, the last attribute, its index or its joint."""
    found = FIELD.match(path)
    if found is None:
        raise BadInput(f"field '{path}' must read a.b.c, a.b[2] or a.b{{joint}}")
    inner = [(name, int(index) if index else None) for name, index in _STEP.findall(found["inner"])]
    return inner, found["last"], int(found["index"]) if found["index"] else None, found["joint"]


def walk(value: Any, steps: Sequence[tuple[str, int | None]], path: str) -> Any:
    """The object at the end of `steps`; BadInput where one of them is not there."""
    for name, index in steps:
        value = attribute(value, name, path)
        if index is not None:
            value = element(value, index, path)
    return value


def attribute(value: Any, name: str, path: str) -> Any:
    """An attribute of a message; BadInput where it has none of that name."""
    try:
        return getattr(value, name)
    except AttributeError:
        raise BadInput(f"{path}: {type(value).__name__} has no field '{name}'") from None


def names_field(message: Any) -> str:
    """Where a message lists its joints: trajectories call it otherwise."""
    return "joint_names" if hasattr(message, "joint_names") else "name"


def place_of(names: Sequence[str], joint: str, path: str) -> int:
    """The place of a joint among a message's names; BadInput unless it is there once."""
    names = list(names)
    if names.count(joint) == 1:
        return names.index(joint)
    heard = ", ".join(names) or "(none)"
    told = "names it more than once" if joint in names else "has no such joint"
    raise BadInput(f"{path}: joint '{joint}': the message {told}; it names {heard}")


def element(values: Sequence[Any], place: int, path: str) -> Any:
    """An element of a message's list; BadInput where it has none at that place."""
    try:
        return values[place]
    except IndexError:
        told = f"the message has {len(values)} entries there, none at place {place}"
        raise BadInput(f"{path}: {told}") from None
    except TypeError:
        raise BadInput(f"{path}: holds {type(values).__name__}, not a list") from None


def _orientation(q: Any, path: str) -> Any:
    """The quaternion, which must be one: the zeros of a driver that knows none would look upright."""
    norm = sum(attribute(q, name, path) ** 2 for name in "xyzw")
    if not abs(norm - 1) <= _UNIT_NORM:
        raise BadInput(f"{path}: the orientation's squared norm is {norm:.3g}, not 1; is there one?")
    return q
