"""The text of a message's definition (ros2msg), made from its Python class: recorded bags carry it.

Works on any class with `get_fields_and_field_types`, as rosidl generates it, so no ROS is needed to test it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_PRIMITIVES = {"boolean": "bool", "octet": "byte", "double": "float64", "float": "float32"}
_ARRAY = re.compile(r"^(?P<of>[^\[]+)\[(?P<size>\d+)\]$")
_SEQUENCE = re.compile(r"^sequence<(?P<of>.+?)(, (?P<bound>\d+))?>$")
_TEXT = re.compile(r"^(?P<of>w?string)<(?P<bound>\d+)>$")
_SEPARATOR = "=" * 80


def definition(kind: type, find: Callable[[str], type]) -> str:
    """The definition of a message class, and of those in it; `find` gives a class by pkg/msg/Name."""
    parts, seen = [_fields(kind)], set[str]()
    waiting = _nested(kind)
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            inner = find(name.replace("/", "/msg/"))
            parts.append(f"{_SEPARATOR}\nMSG: {name}\n{_fields(inner)}")
            waiting += _nested(inner)
    return "".join(parts)


def _fields(kind: type) -> str:
    lines = [f"{_written(told)} {name}\n" for name, told in kind.get_fields_and_field_types().items()]
    return "".join(lines)


def _nested(kind: type) -> list[str]:
    """Names (pkg/Name) of the messages in a message."""
    elements = (_element(told) for told in kind.get_fields_and_field_types().values())
    return [name for name in elements if "/" in name]


def _element(told: str) -> str:
    found = _SEQUENCE.match(told) or _ARRAY.match(told)
    return found["of"] if found else told


def _written(told: str) -> str:
    """A type as message files write it, from what rosidl's Python calls it."""
    if found := _SEQUENCE.match(told):
        return f"{_written(found['of'])}[{'<=' + found['bound'] if found['bound'] else ''}]"
    if found := _ARRAY.match(told):
        return f"{_written(found['of'])}[{found['size']}]"
    if found := _TEXT.match(told):
        return f"{found['of']}<={found['bound']}"
    return _PRIMITIVES.get(told, told)
