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
from robot_rl.data.tables import read_ipc, read_table, rows_to_table, write_ipc
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
        row = dict(_table(self.folder / _ROWS).slice(self.row, 1).to_pylist()[0])
        stats: dict[str, dict[str, Any]] = {}
        for key in [k for k in row if k.startswith("stats/")]:
            _, name, part = key.split("/")
            stats.setdefault(name, {})[part] = np.asarray(row.pop(key))
        return {**row, "stats": stats}

    def table(self) -> pa.Table:
        """Its columns."""
        if self.row is None:
            return read_table(self.folder / "data.parquet")
        starts = _starts(self.folder)
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


def write_group(
    folder: Path, tables: Sequence[pa.Table], extras: Sequence[pa.Table], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write a group's columns, extras and records (index, task, length, columns, stats/<name>/<part>)."""
    write_ipc(pa.concat_tables(tables), folder / _DATA)
    write_ipc(pa.concat_tables(extras, promote_options="default"), folder / _EXTRA)
    write_ipc(rows_to_table(rows), folder / _ROWS)


@lru_cache(maxsize=6)
def _held(path: Path, stamp: int) -> pa.Table:
    return read_ipc(path)


def _table(path: Path) -> pa.Table:
    """A group's table; those read last are kept, as its episodes are asked for one after the other."""
    try:
        return _held(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; remove its folder and write those episodes again") from error


def _starts(folder: Path) -> list[int]:
    lengths = _table(folder / _ROWS).column("length").to_pylist()
    return np.concatenate([[0], np.cumsum(lengths)]).astype(int).tolist()
