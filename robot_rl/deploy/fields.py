"""Reads and writes one number of a message by the path that a robot contract names.

Works on anything with the attributes of a ROS message, so that no ROS is needed to test it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from robot_rl.errors import BadInput

_PATH = re.compile(r"^(?P<attributes>[a-z_.]+?)(\[(?P<index>\d+)\]|\{(?P<joint>[^{}]+)\})?$")
# Where gravity points, seen from the body: minus the third row of the body's rotation matrix.
_DERIVED = {
    "gravity_x": lambda q: 2 * (q.w * q.y - q.x * q.z),
    "gravity_y": lambda q: -2 * (q.y * q.z + q.w * q.x),
    "gravity_z": lambda q: 2 * (q.x * q.x + q.y * q.y) - 1,
}


def reader(path: str) -> Callable[[Any], float]:
    """Return a function from a message to the number at `path`; it raises BadInput where none is there.

    A joint's number is found by its name in the message's `name`, never by its place.
    """
    found = _PATH.match(path)
    attributes = found["attributes"].split(".")
    derived = _DERIVED.get(attributes[-1])
    if derived:
        attributes = attributes[:-1]

    def read(message: Any) -> float:
        value = message
        for name in attributes:
            value = getattr(value, name)
        if found["joint"] is not None:
            value = _element(value, _place(message.name, found["joint"], path), path)
        elif found["index"] is not None:
            value = _element(value, int(found["index"]), path)
        return float(derived(value) if derived else value)

    return read


def writer(path: str) -> Callable[[Any, float], None]:
    """Return a function that sets the number at `path` of a message, lengthening lists as needed."""
    found = _PATH.match(path)
    *inner, last = found["attributes"].split(".")

    def write(message: Any, value: float) -> None:
        owner = message
        for name in inner:
            owner = getattr(owner, name)
        if found["joint"] is None and found["index"] is None:
            setattr(owner, last, float(value))
            return
        values = list(getattr(owner, last))
        if found["joint"] is not None:
            names = list(message.name)
            if found["joint"] not in names:
                message.name = [*names, found["joint"]]
            place = message.name.index(found["joint"])
        else:
            place = int(found["index"])
        values += [0.0] * (place + 1 - len(values))
        values[place] = float(value)
        setattr(owner, last, values)

    return write


def _place(names: Sequence[str], joint: str, path: str) -> int:
    try:
        return list(names).index(joint)
    except ValueError:
        heard = ", ".join(names) or "(none)"
        raise BadInput(f"{path}: the message has no joint '{joint}'; it names {heard}") from None


def _element(values: Sequence[float], place: int, path: str) -> float:
    if place >= len(values):
        raise BadInput(f"{path}: the message has {len(values)} numbers there, none at place {place}")
    return values[place]
