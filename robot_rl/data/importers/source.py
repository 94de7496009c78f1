"""What every importer offers and is given: the Source protocol, the user's options, and parts of a state."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import Episode, Frames
from robot_rl.data.video import ResizedFrames
from robot_rl.errors import BadInput


class Source(Protocol):
    """One dataset in another format, open as a context manager."""

    settings: dict[str, Any]  # of the DatasetWriter
    notes: list[str]

    def __len__(self) -> int:
        """The number of episodes."""

    def where(self, index: int) -> str:
        """What to name in errors about episode `index`."""

    def episode(self, index: int) -> Episode:
        """Read one episode; BadInput where it is broken."""


@dataclass(frozen=True)
class Options:
    """What the user says beside the path."""

    task: str | None = None  # the goal in words
    fps: float | None = None  # Hz
    resize: tuple[int, int] | None = None  # height, width in pixels
    mapping: Path | None = None  # of topics, for bags
    robot: str | None = None  # a contract's name or file, which says what a bag's topics are

    def task_or_refuse(self, path: Path, kind: str, hint: str = "") -> str:
        """The task's text; BadInput where neither the source nor the user gives one."""
        if not self.task:
            raise BadInput(f'{path}: {kind} has no task text{hint}; give it, e.g. --task "open the door"')
        return self.task

    def refuse_rate(self, path: Path, told_by: str) -> None:
        """Raise BadInput where a rate is given although the source says it."""
        if self.fps is not None:
            raise BadInput(f"{path}: {told_by} says the rate; fps only applies to formats that do not")

    def refuse_size(self, path: Path, kind: str) -> None:
        """Raise BadInput where a picture size is given for a source without pictures."""
        if self.resize is not None:
            raise BadInput(f"{path} holds no pictures; resize does not apply to {kind}")

    def sized(self, frames: Frames | np.ndarray) -> Frames | np.ndarray:
        """The frames in the size that the user asked for."""
        return frames if self.resize in (None, frames.shape[1:3]) else ResizedFrames(frames, self.resize)


@dataclass(frozen=True)
class Part:
    """One array of the source among those that make up the state or the action."""

    key: str  # the source's own
    shape: tuple[int, ...]  # of one step
    names: tuple[str, ...]  # of the numbers, prod(shape)


def part_of(key: str, shape: Sequence[int], alone: bool, prefix: str) -> Part:
    """A part whose numbers are named by its key, or by `prefix` where it is the only one."""
    size = int(np.prod(shape, dtype=np.int64))
    stem = prefix if alone else layout.safe_name(key)
    names = (stem,) if size == 1 and not alone else tuple(f"{stem}_{i}" for i in range(size))
    return Part(key, tuple(int(n) for n in shape), names)


def parts_of(shapes: Mapping[str, Sequence[int]], prefix: str, where: str) -> list[Part]:
    """Parts from the shapes of one step; BadInput where there are none or their names collide."""
    parts = [part_of(key, shape, len(shapes) == 1, prefix) for key, shape in shapes.items()]
    names = [name for part in parts for name in part.names]
    if not names:
        raise BadInput(f"{where}: there is no vector to make a {prefix} of; an episode needs one")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{where}: two parts of the {prefix} would be called '{twice}'; rename one of them")
    return parts


def join_parts(parts: Sequence[Part], arrays: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """(T, S) float32 from arrays (T, ...); BadInput where one has another shape than was found first."""
    columns = []
    for part in parts:
        array = arrays[part.key]
        # (T,) is as good as (T, 1).
        if array.shape[1:] not in (part.shape, () if part.shape == (1,) else part.shape):
            raise BadInput(
                f"{where}: '{part.key}' has the shape {array.shape}; each step needs {part.shape}, "
                "as in the other episodes"
            )
        columns.append(floats(array.reshape(len(array), math.prod(part.shape))))
    lengths = {part.key: len(column) for part, column in zip(parts, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        raise BadInput(f"{where}: arrays have different numbers of steps: {lengths}; they must agree")
    return columns[0] if len(columns) == 1 else np.concatenate(columns, 1)


def floats(values: np.ndarray) -> np.ndarray:
    """As float32; what is too large becomes infinite, which `validate_episode` names."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values).astype(np.float32)


def names_of(parts: Sequence[Part]) -> list[str]:
    """The names of all numbers, in order."""
    return [name for part in parts for name in part.names]


def describe(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The parts as metadata, from which an exporter makes the source's own arrays again."""
    return [{"key": part.key, "shape": list(part.shape)} for part in parts]


def json_object(text: Any, where: str) -> dict[str, Any]:
    """A JSON object in a text; BadInput names `where`."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"{where} is not readable JSON ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise BadInput(f"{where} holds a {type(value).__name__}; it must hold a JSON object")
    return value


def rate(value: Any, where: str) -> float:
    """A rate in Hz; BadInput where it is no positive number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < 1e6:
        raise BadInput(f"{where} is {value!r}; it must be a positive number of steps a second")
    return float(value)


def some(indices: Sequence[int]) -> str:
    """A list of episodes in words, shortened where it is long."""
    shown = ", ".join(map(str, indices[:8]))
    return shown + (f", ... ({len(indices)} in all)" if len(indices) > 8 else "")
