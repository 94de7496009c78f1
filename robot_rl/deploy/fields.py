"""Reads and writes one number of a message by the path that a robot contract names.

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
_DERIVED = {
    "gravity_x": lambda q: 2 * (q.w * q.y - q.x * q.z),
    "gravity_y": lambda q: -2 * (q.y * q.z + q.w * q.x),
    "gravity_z": lambda q: 2 * (q.x * q.x + q.y * q.y) - 1,
}


def reader(path: str) -> Callable[[Any], float]:
    """Return a function from a message to the number at `path`; it raises BadInput where none is there.

    A joint's number is found by its name in the message's `name` or `joint_names`, never by its place.
    """
    inner, last, index, joint = _split(path)
    derived = _DERIVED.get(last)

    def read(message: Any) -> float:
        owner = _walk(message, inner, path)
        if derived:
            return float(derived(_orientation(owner, path)))
        value = _attribute(owner, last, path)
        if joint is not None:
            value = _element(value, _place(_attribute(message, _names(message), path), joint, path), path)
        elif index is not None:
            value = _element(value, index, path)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise BadInput(f"{path}: holds {type(value).__name__}, not a number") from None

    return read


def writer(path: str) -> Callable[[Any, float], None]:
    """Return a function that sets the number at `path` of a message, lengthening its last list as needed.

    It raises BadInput where the message has no such field; elements on the way (`points[0]`) must be there.
    """
    inner, last, index, joint = _split(path)

    def write(message: Any, value: float) -> None:
        owner = _walk(message, inner, path)
        if joint is None and index is None:
            _set(owner, last, float(value), path)
            return
        values = list(_attribute(owner, last, path))
        place = index
        if joint is not None:
            names = list(_attribute(message, _names(message), path))
            if joint not in names:
                names = [*names, joint]
                setattr(message, _names(message), names)
            place = names.index(joint)
        values += [0.0] * (place + 1 - len(values))
        values[place] = float(value)
        _set(owner, last, values, path)

    return write


def set_constant(message: Any, path: str, value: float | str) -> None:
    """Set a field such as `points[0].time_from_start.nanosec` to a number or text, in its own type."""
    inner, last, index, _ = _split(path)
    if index is not None:
        writer(path)(message, value)
        return
    owner = _walk(message, inner, path)
    present = _attribute(owner, last, path)
    if not isinstance(present, int | float | str) or isinstance(present, str) != isinstance(value, str):
        raise BadInput(f"{path}: holds {type(present).__name__}, which cannot be set to {value!r}")
    _set(owner, last, type(present)(value), path)


def _split(path: str) -> tuple[list[tuple[str, int | None]], str, int | None, str | None]:
    """Take a path apart: steps on the way, the last attribute, its index or its joint."""
    found = FIELD.match(path)
    if found is None:
        raise BadInput(f"field '{path}' must read a.b.c, a.b[2] or a.b{{joint}}")
    inner = [(name, int(index) if index else None) for name, index in _STEP.findall(found["inner"])]
    return inner, found["last"], int(found["index"]) if found["index"] else None, found["joint"]


def _walk(value: Any, steps: Sequence[tuple[str, int | None]], path: str) -> Any:
    for name, index in steps:
        value = _attribute(value, name, path)
        if index is not None:
            value = _element(value, index, path)
    return value


def _attribute(value: Any, name: str, path: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        raise BadInput(f"{path}: {type(value).__name__} has no field '{name}'") from None


def _set(owner: Any, name: str, value: Any, path: str) -> None:
    _attribute(owner, name, path)
    setattr(owner, name, value)


def _names(message: Any) -> str:
    """Where a message lists its joints: trajectories call it otherwise."""
    return "joint_names" if hasattr(message, "joint_names") else "name"


def _place(names: Sequence[str], joint: str, path: str) -> int:
    names = list(names)
    if names.count(joint) == 1:
        return names.index(joint)
    heard = ", ".join(names) or "(none)"
    told = "names it more than once" if joint in names else "has no such joint"
    raise BadInput(f"{path}: joint '{joint}': the message {told}; it names {heard}")


def _element(values: Sequence[Any], place: int, path: str) -> Any:
    try:
        return values[place]
    except IndexError:
        told = f"the message has {len(values)} entries there, none at place {place}"
        raise BadInput(f"{path}: {told}") from None
    except TypeError:
        raise BadInput(f"{path}: holds {type(values).__name__}, not a list") from None


def _orientation(q: Any, path: str) -> Any:
    """The quaternion, which must be one: the zeros of a driver that knows none would look upright."""
    norm = sum(_attribute(q, name, path) ** 2 for name in "xyzw")
    if not abs(norm - 1) <= _UNIT_NORM:
        raise BadInput(f"{path}: the orientation's squared norm is {norm:.3g}, not 1; is there one?")
    return q
