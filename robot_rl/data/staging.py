"""Where episodes of a dataset wait until it is closed: a folder each, or a folder for many without pictures.

An episode with pictures lies in `episode-<n>/`. Many short ones without pictures lie together in
`group-<first>-<last>/`, since a file and a flush to the disk for each would take most of the time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.tables import read_ipc, read_table, to_arrow, to_numpy, write_ipc
from robot_rl.errors import BadInput

STAGED = re.compile(r"episode-(\d{6,})")
GROUP = re.compile(r"group-\d{6,}-\d{6,}")
_DATA, _EXTRA, _ROWS = "data.arrow", "extra.arrow", "episodes.arrow"


@dataclass(frozen=True)
class Staged:
    """One closed episode."""

    folder: Path
    index: int
    row: int | None = None  # its place in a group, None for a folder of its own

    def record(self) -> dict[str, Any]:
        """Its task, length, columns and statistics."""
        if self.row is None:
            return layout.read_json(self.folder / "episode.json")
        return dict(_records(self.folder, *_stamped(self.folder / _ROWS))[self.row])

    def table(self) -> pa.Table:
        """Its columns."""
        if self.row is None:
            return read_table(self.folder / "data.parquet")
        starts = _starts(self.folder, *_stamped(self.folder / _ROWS))
        return _table(self.folder / _DATA).slice(starts[self.row], starts[self.row + 1] - starts[self.row])

    def extra(self) -> pa.Table:
        """Its row of meta/robot_rl.parquet."""
        if self.row is None:
            return read_table(self.folder / "extra.parquet")
        return _table(self.folder / _EXTRA).slice(self.row, 1)

    def video(self, camera: str) -> Path:
        """Its pictures of a camera."""
        return self.folder / f"{camera}.mp4"


def staging_of(path: Path) -> Path:
    """Where episodes of the dataset at `path` wait until it is closed."""
    return path.with_name(path.name + ".staging")


def staged_episodes(path: Path) -> dict[int, Staged]:
    """Closed episodes of the unfinished dataset at `path`, by index."""
    staging = staging_of(path)
    found: dict[int, Staged] = {}
    for folder in sorted(staging.iterdir()) if staging.is_dir() else ():
        if match := STAGED.fullmatch(folder.name):
            members = [Staged(folder, int(match[1]))]
        elif GROUP.fullmatch(folder.name):
            numbers = _table(folder / _ROWS).column("index").to_pylist()
            members = [Staged(folder, number, row) for row, number in enumerate(numbers)]
        else:
            continue
        for member in members:
            if member.index in found:
                raise BadInput(
                    f"{staging}: episode {member.index} is in {found[member.index].folder.name} and in "
                    f"{folder.name}; remove the one that is wrong"
                )
            found[member.index] = member
    return dict(sorted(found.items()))


def group_name(indices: Sequence[int]) -> str:
    """The folder of a group of episodes."""
    return f"group-{min(indices):06d}-{max(indices):06d}"


def write_group(folder: Path, data: pa.Table, extras: pa.Table, rows: Mapping[str, Any]) -> None:
    """Write a group's columns, extras and records.

    `rows` has the columns index, task, length, columns, and stats/<name>/<part> (E, K) of its E episodes.
    """
    told = {
        key: to_arrow(np.asarray(v)) if key.startswith("stats/") else pa.array(v) for key, v in rows.items()
    }
    write_ipc(data, folder / _DATA)
    write_ipc(extras, folder / _EXTRA)
    write_ipc(pa.table(told), folder / _ROWS)


@lru_cache(maxsize=6)
def _held(path: Path, stamp: int) -> pa.Table:
    return read_ipc(path)


def _table(path: Path) -> pa.Table:
    """A group's table; those read last are kept, as its episodes are asked for one after the other."""
    return _held(*_stamped(path))


def _stamped(path: Path) -> tuple[Path, int]:
    """A file of a group, and when it was written; BadInput where it is gone."""
    try:
        return path, path.stat().st_mtime_ns
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; remove its folder and write those episodes again") from error


@lru_cache(maxsize=2)
def _records(folder: Path, path: Path, stamp: int) -> list[dict[str, Any]]:
    """The records of a group's episodes."""
    table = _held(path, stamp)
    names = [name for name in table.column_names if name.startswith("stats/")]
    rows = table.drop_columns(names).to_pylist()
    for row in rows:
        row["stats"] = {}
    for name in names:
        _, column, part = name.split("/")
        values = to_numpy(table.column(name), f"{path}: '{name}'").reshape(len(rows), -1)
        for row, value in zip(rows, values, strict=True):
            row["stats"].setdefault(column, {})[part] = value
    return rows


@lru_cache(maxsize=2)
def _starts(folder: Path, path: Path, stamp: int) -> list[int]:
    lengths = _held(path, stamp).column("length").to_pylist()
    return np.concatenate([[0], np.cumsum(lengths)]).astype(int).tolist()
