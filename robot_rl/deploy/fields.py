"""Writes one number of a message by the path that a robot contract names; `reader` is its counterpart.

Works on anything with the attributes of a ROS message, so that no ROS is needed to test it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robot_rl.errors import BadInput
from robot_rl.specs.message_fields import attribute, names_field, reader, split, walk

__all__ = ["reader", "set_constant", "writer"]


def writer(path: str) -> Callable[[Any, float], None]:
    """Return a function that sets the number at `path` of a message, lengthening its last list as needed.

    It raises BadInput where the message has no such field; elements on the way (`points[0]`) must be there.
    """
    inner, last, index, joint = split(path)

    def write(message: Any, value: float) -> None:
        owner = walk(message, inner, path)
        if joint is None and index is None:
            _set(owner, last, float(value), path)
            return
        values = list(attribute(owner, last, path))
        place = index
        if joint is not None:
            names = list(attribute(message, names_field(message), path))
            if joint not in names:
                names = [*names, joint]
                setattr(message, names_field(message), names)
            place = names.index(joint)
        values += [0.0] * (place + 1 - len(values))
        values[place] = float(value)
        _set(owner, last, values, path)

    return write


def set_constant(message: Any, path: str, value: float | str) -> None:
    """Set a field such as `points[0].time_from_start.nanosec` to a number or text, in its own type."""
    inner, last, index, _ = split(path)
    if index is not None:
        writer(path)(message, value)
        return
    owner = walk(message, inner, path)
    present = attribute(owner, last, path)
    if not isinstance(present, int | float | str) or isinstance(present, str) != isinstance(value, str):
        raise BadInput(f"{path}: holds {type(present).__name__}, which cannot be set to {value!r}")
    _set(owner, last, type(present)(value), path)


def _set(owner: Any, name: str, value: Any, path: str) -> None:
    attribute(owner, name, path)
    setattr(owner, name, value)
