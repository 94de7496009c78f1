"""The two forms in which Minari keeps episodes: groups of one HDF5 file, or Arrow and Parquet folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.episode import Frames
from robot_rl.data.importers.hdf5 import EncodedFrames, Hdf5, Hdf5Frames
from robot_rl.data.tables import read_ipc, read_table, to_numpy
from robot_rl.errors import BadInput

ATTRIBUTES = ("seed", "task", "final_observation")
_EPISODE = re.compile(r"episode_(\d+)")


class Storage(Protocol):
    """Where episodes lie; arrays are keyed by their path in the space."""

    episodes: Sequence[Any]

    def where(self, index: int) -> str:
        """What to name in errors about an episode."""

    def read(self, index: int) -> dict[str, Any]:
        """observations, actions (by path), rewards, terminations, and attributes of the episode."""

    def numbers(self, array: Any, shape: Sequence[int], where: str) -> np.ndarray:
        """An array of `read` as (T, *shape)."""

    def pictures(self, arrays: Mapping[str, Any], key: str, shape: Sequence[int], where: str) -> Frames:
        """Pictures at a path of the space, decoded when read."""

    def close(self) -> None:
        """Close what is open."""


def open_storage(folder: Path, meta: Mapping[str, Any]) -> Storage:
    """Open the storage that metadata.json names, or the one whose files are there."""
    kind = meta.get("data_format") or ("hdf5" if (folder / "main_data.hdf5").exists() else "arrow")
    if kind == "hdf5":
        return Hdf5Storage(folder / "main_data.hdf5")
    if kind in ("arrow", "parquet"):
        return ArrowStorage(folder, kind)
    raise BadInput(f"{folder}/metadata.json: data_format is {kind!r}; readable are hdf5, arrow and parquet")


class Hdf5Storage:
    """main_data.hdf5: a group `episode_<n>` each."""

    def __init__(self, path: Path):
        """Open `path`; BadInput where it is missing or damaged."""
        if not path.is_file():
            raise BadInput(f"{path} is missing; fetch the data set again")
        self._file = Hdf5(path)
        found = sorted((int(m[1]), m[0]) for m in map(_EPISODE.fullmatch, self._file.keys()) if m)
        self.episodes = [name for _, name in found]
        if not self.episodes:
            self._file.close()
            raise BadInput(f"{path}: holds no group episode_0, episode_1, ...; fetch the data set again")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def where(self, index: int) -> str:
        """The file and the group."""
        return f"{self._file.path}: {self.episodes[index]}"

    def read(self, index: int) -> dict[str, Any]:
        """Paths of observations and actions in the file, rewards and terminations as arrays."""
        group, file = self.episodes[index], self._file
        found: dict[str, Any] = {name: self._below(f"{group}/{name}") for name in ("observations", "actions")}
        for key in ("rewards", "terminations"):
            found[key] = file.numbers(f"{group}/{key}")
        if file.is_array(f"{group}/infos/success"):
            found["infos/success"] = file.numbers(f"{group}/infos/success")
        clocks = [p for p in file.arrays(f"{group}/infos") if layout.is_clock(p) and file.is_series(p)]
        found["clocks"] = {p.removeprefix(f"{group}/infos/"): file.numbers(p) for p in clocks}
        found["attributes"] = {k: v for k, v in file.attributes(group, ATTRIBUTES).items() if v is not None}
        return found

    def _below(self, path: str) -> dict[str, str]:
        if self._file.is_array(path):
            return {"": path}
        return {found.removeprefix(path + "/"): found for found in self._file.arrays(path)}

    def numbers(self, array: str, shape: Sequence[int], where: str) -> np.ndarray:
        """Read an array of the file."""
        return self._file.numbers(array)

    def pictures(self, arrays: Mapping[str, Any], key: str, shape: Sequence[int], where: str) -> Frames:
        """Raw pictures stay in the file; JPEG ones are held encoded."""
        if key not in arrays:
            raise BadInput(f"{where}: has no '{key}', which the space in metadata.json names")
        path = arrays[key]
        if self._file.is_picture(path):
            return Hdf5Frames(self._file, path, slice(0, self._file.shape(path)[0]))
        array = self._file.array(path)
        with self._file._named(f"'{path}'"):
            values = [np.asarray(value, np.uint8).tobytes() for value in array[:]]
        return EncodedFrames(values, tuple(shape[:2]), f"{where}/{key}")


class ArrowStorage:
    """A folder `<n>/` an episode with one Arrow or Parquet file, rows padded to the last observation."""

    def __init__(self, folder: Path, kind: str):
        """List the episodes of `folder`; BadInput where there are none."""
        self._folder, self._kind = folder, kind
        self.episodes = sorted(int(p.name) for p in folder.iterdir() if p.is_dir() and p.name.isdecimal())
        if not self.episodes:
            raise BadInput(f"{folder}: holds no folder 0, 1, ... of an episode; fetch the data set again")

    def close(self) -> None:
        """Nothing stays open."""

    def where(self, index: int) -> str:
        """The episode's folder."""
        return str(self._folder / str(self.episodes[index]))

    def read(self, index: int) -> dict[str, Any]:
        """Columns of the episode's table; actions, rewards and terminations without the padding."""
        folder = self._folder / str(self.episodes[index])
        paths = sorted(p for p in folder.iterdir() if p.suffix == f".{self._kind}")
        if not paths:
            raise BadInput(f"{folder} holds no .{self._kind} file; fetch the data set again")
        tables = [read_table(p) if self._kind == "parquet" else read_ipc(p) for p in paths]
        table = tables[0] if len(tables) == 1 else pa.concat_tables(tables)
        for name in ("observations", "actions", "rewards", "terminations"):
            if name not in table.column_names:
                raise BadInput(f"{paths[0]}: has no column '{name}'; fetch the data set again")
        table = table.combine_chunks()
        if table.num_rows < 2:
            raise BadInput(f"{paths[0]} has {table.num_rows} rows; an episode needs at least 2")
        steps = table.num_rows - 1
        found: dict[str, Any] = {
            "observations": _flatten(table.column("observations"), ""),
            "actions": _flatten(table.column("actions").slice(0, steps), ""),
        }
        for key in ("rewards", "terminations"):
            found[key] = to_numpy(table.column(key).slice(0, steps), f"{paths[0]}: column '{key}'")
        infos = _flatten(table.column("infos"), "") if "infos" in table.column_names else {}
        if "success" in infos:
            found["infos/success"] = to_numpy(infos["success"], f"{paths[0]}: infos: success")
        found["clocks"] = {
            key: to_numpy(infos[key], f"{paths[0]}: infos: {key}")
            for key, kind in ((key, column.type) for key, column in infos.items())
            if layout.is_clock(key) and (pa.types.is_floating(kind) or pa.types.is_integer(kind))
        }
        meta = folder / "metadata.json"
        own = layout.read_json(meta) if meta.exists() else {}
        found["attributes"] = {k: v for k, v in own.items() if k not in ("id", "total_steps")}
        return found

    def numbers(self, array: pa.ChunkedArray, shape: Sequence[int], where: str) -> np.ndarray:
        """A column of numbers or of lists as (T, *shape)."""
        values = to_numpy(array, where)
        size = int(np.prod(shape, dtype=np.int64))
        if values.size != len(values) * size:
            raise BadInput(f"{where}: has {values.shape[1:]} numbers a step; the space says {tuple(shape)}")
        return values.reshape(len(values), *shape)

    def pictures(self, arrays: Mapping[str, Any], key: str, shape: Sequence[int], where: str) -> Frames:
        """JPEG pictures, or raw ones as lists of bytes."""
        if key not in arrays:
            raise BadInput(f"{where}: has no '{key}', which the space in metadata.json names")
        column = arrays[key]
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            values = [value or b"" for value in column.to_pylist()]
            return EncodedFrames(values, tuple(shape[:2]), f"{where}: {key}")
        return self.numbers(column, shape, where).astype(np.uint8)


def _flatten(column: pa.ChunkedArray, path: str) -> dict[str, pa.ChunkedArray]:
    """Leaves of a struct column by path; a Tuple's parts "0", "1" are named as in HDF5."""
    if not pa.types.is_struct(column.type):
        return {path: column}
    found = {}
    for field in column.type:
        name = f"_index_{field.name}" if field.name.isdecimal() else field.name
        chunks = [chunk.field(field.name) for chunk in column.chunks]
        found |= _flatten(pa.chunked_array(chunks, field.type), f"{path}/{name}".strip("/"))
    return found
