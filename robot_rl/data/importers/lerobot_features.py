"""What LeRobotDataset v2 and v3 have in common: features of info.json, and an episode from its table rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.importers.clocks import SOURCE_TIME, seconds, unit_words, units_of
from robot_rl.data.importers.source import Options, rate, some
from robot_rl.data.tables import to_numpy
from robot_rl.errors import BadInput, nearest

NUMBERS = ("float", "int", "uint", "bool")
_POINTER = b"version https://git-lfs"  # what git leaves of a large file that was not fetched


class Features:
    """The features of an info.json, sorted into state, action, cameras, further vectors and labels."""

    def __init__(self, root: Path, options: Options):
        """Read meta/info.json of the dataset at `root`; BadInput where it breaks a rule."""
        self.root, self.options = root, options
        self.info_path = root / layout.INFO
        self.info = layout.read_json(self.info_path)
        self.notes: list[str] = []
        self.features = self._checked()
        options.refuse_rate(root, "meta/info.json")
        self.fps = rate(self.info.get("fps"), f"{self.info_path}: fps")
        self._sort()

    def _checked(self) -> dict[str, Mapping[str, Any]]:
        features = self.info.get("features")
        if not isinstance(features, dict) or not all(isinstance(f, dict) for f in features.values()):
            raise BadInput(f"{self.info_path}: features is missing; it must describe every column")
        return features

    def _sort(self) -> None:
        """Decide what becomes of each feature; note what is left behind."""
        self.cameras: dict[str, str] = {}  # camera name -> feature key
        self.vectors: dict[str, str] = {}  # observation name -> feature key
        self.labels: list[str] = []
        # Our own datasets have time stamps of their rate; those of others tell how it was recorded.
        foreign = not (self.root / layout.OWN_JSON).exists() and SOURCE_TIME not in self.features
        self.clock = foreign and "timestamp" in self.features
        self.state, self.action = self._main(layout.STATE), self._main(layout.ACTION)
        known = {layout.REWARD, layout.SUCCESS, layout.DONE, *layout.BOOKKEEPING, *self.state, *self.action}
        for key, feature in self.features.items():
            kind, shape = str(feature.get("dtype")), feature.get("shape")
            if kind in ("video", "image"):
                self._add_camera(key)
            elif key in known:
                continue
            elif self._numeric(key) and key.startswith(layout.OBSERVATION):
                self.vectors[key.removeprefix(layout.OBSERVATION)] = key
            elif self._numeric(key) and list(shape or ()) == [1]:
                self.labels.append(key)
            else:
                self.notes.append(f"column '{key}' ({kind} {shape}) was not taken over")

    def _numeric(self, key: str) -> bool:
        """Whether a feature is a short vector of numbers."""
        kind, shape = str(self.features[key].get("dtype")), self.features[key].get("shape")
        return kind.startswith(NUMBERS) and isinstance(shape, list) and len(shape) == 1

    def _main(self, name: str) -> list[str]:
        """The columns that make up the state or the action: the one of that name, or all of its kind."""
        if name in self.features:
            return [name]
        prefix = layout.OBSERVATION if name == layout.STATE else layout.ACTION + "."
        parts = [key for key in self.features if key.startswith(prefix) and self._numeric(key)]
        if not parts:
            raise BadInput(f"{self.info_path}: features has no '{name}'.{nearest(name, self.features)}")
        self.notes.append(f"there is no '{name}'; it is made of {', '.join(parts)}")
        return parts

    def _add_camera(self, key: str) -> None:
        name = layout.check_name(layout.camera_name(key), f"{self.info_path}: features")
        if name in self.cameras:
            raise BadInput(
                f"{self.info_path}: features '{key}' and '{self.cameras[name]}' are both the camera '{name}'"
            )
        self.cameras[name] = key

    def settings(self) -> dict[str, Any]:
        """Arguments of the DatasetWriter."""
        sizes = {name: self.options.resize or self.size(key) for name, key in self.cameras.items()}
        return {
            "fps": self.fps,
            "state_names": self._names(self.state),
            "action_names": self._names(self.action),
            "cameras": sizes,
            "robot_type": str(self.info.get("robot_type") or "unknown"),
            "labels": [*self.labels, *([SOURCE_TIME] if self.clock else [])],
            "vectors": {name: self._names([key]) for name, key in self.vectors.items()},
            "metadata": {
                "source": {
                    "format": f"LeRobotDataset {self.info.get('codebase_version')}",
                    "name": self.root.resolve().name,
                    "features": self.features,
                },
                **self._units(),
            },
        }

    def _units(self) -> dict[str, list[str]]:
        """Units that the features have as `unit` or `units`, or our own metadata."""
        told = {}
        for name, keys in (("state_units", self.state), ("action_units", self.action)):
            features = [(self.features[key], self._count(key)) for key in keys]
            told[name] = [u for f, n in features for u in units_of(f.get("units") or f.get("unit"), n)]
        own = self.root / layout.OWN_JSON
        words = layout.read_json(own).get("metadata") if own.exists() else None
        words = words if isinstance(words, dict) else {}
        sizes = len(told["state_units"]), len(told["action_units"])
        return unit_words(told, *sizes) | unit_words(words, *sizes)

    def size(self, key: str) -> tuple[int, int]:
        """Height and width of a camera's pictures in the source."""
        return layout.image_size(self.features[key], f"{self.info_path}: {key}")

    def _names(self, keys: list[str]) -> list[str]:
        if len(keys) == 1:
            return layout.names_of(self.features[keys[0]], self._count(keys[0]), keys[0].rsplit(".", 1)[-1])
        stems = {key: key.removeprefix(layout.OBSERVATION).removeprefix(layout.ACTION + ".") for key in keys}
        return [
            f"{stems[key]}.{name}"
            for key in keys
            for name in layout.names_of(self.features[key], self._count(key), stems[key])
        ]

    def _count(self, key: str) -> int:
        return int(np.prod(layout.shape_of(self.features[key], f"{self.info_path}: {key}"), dtype=np.int64))

    def columns(self) -> list[str]:
        """The columns of numbers that an episode needs, pictures left out."""
        extra = [key for key in (layout.REWARD, layout.SUCCESS) if key in self.features]
        extra += ["timestamp"] if self.clock else []
        return list(dict.fromkeys([*self.state, *self.action, *self.vectors.values(), *self.labels, *extra]))

    def fields(self, table: pa.Table, path: Path) -> dict[str, Any]:
        """Arguments of an Episode but for pictures and task, from the rows of one episode."""
        observations = {"state": self._joined(table, path, self.state)}
        observations |= {name: self._vector(table, path, key) for name, key in self.vectors.items()}
        rewards = self._scalar(table, path, layout.REWARD) if layout.REWARD in self.features else None
        success = self._scalar(table, path, layout.SUCCESS) if layout.SUCCESS in self.features else None
        return {
            "observations": observations,
            "actions": self._joined(table, path, self.action),
            "fps": self.fps,
            "rewards": rewards,
            "success": None if success is None else success.astype(bool),
            "labels": {key: self._scalar(table, path, key) for key in self.labels}
            | self._clocks(table, path),
        }

    def _clocks(self, table: pa.Table, path: Path) -> dict[str, np.ndarray]:
        if not self.clock:
            return {}
        values = column(table, path, "timestamp").to_numpy()  # empty values become NaN
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise BadInput(f"{path}: column 'timestamp' must hold numbers, not {values.dtype}")
        return {SOURCE_TIME: seconds(values)}

    def _joined(self, table: pa.Table, path: Path, keys: list[str]) -> np.ndarray:
        columns = [self._vector(table, path, key) for key in keys]
        return columns[0] if len(columns) == 1 else np.concatenate(columns, 1)

    def _vector(self, table: pa.Table, path: Path, key: str) -> np.ndarray:
        where = f"{path}: column '{key}'"
        values = to_numpy(column(table, path, key), where).reshape(table.num_rows, -1)
        if values.shape[1] != self._count(key):
            raise BadInput(
                f"{where} has {values.shape[1]} values a row, but info.json says {self._count(key)}"
            )
        return values.astype(np.float32)

    def _scalar(self, table: pa.Table, path: Path, key: str) -> np.ndarray:
        values = self._vector(table, path, key)
        if values.shape[1] != 1:
            raise BadInput(f"{path}: column '{key}' has {values.shape[1]} values a row; it must have one")
        return values.reshape(-1)

    def drop_absent(self, indices: list[int], data: Any, video: Any) -> list[int]:
        """Leave out what a partial download lacks, with notes; returns the episodes that are there.

        `data(index)` and `video(index, key)` give each episode's files. A camera of which no file is there
        is left out, otherwise the episodes whose video is not there. Raises BadInput where nothing is there.
        """
        there = [i for i in indices if present(data(i))]
        if not there:
            raise BadInput(
                f"{data(indices[0])} is missing, as are all other data files; fetch the dataset again"
            )
        self._note_absent("data files", indices, there)
        for name, key in list(self.cameras.items()):
            if self.features[key]["dtype"] != "video":
                continue
            seen = [i for i in there if present(video(i, key))]
            if seen:
                self._note_absent(f"videos of camera '{name}'", there, seen)
                there = seen
            else:
                self.notes.append(f"camera '{name}' is left out: none of its videos is there")
                del self.cameras[name]
        return there

    def _note_absent(self, what: str, before: list[int], after: list[int]) -> None:
        lost = sorted(set(before) - set(after))
        if lost:
            self.notes.append(
                f"{len(lost)} of {len(before)} episodes are left out, for their {what} are not there "
                f"(partial download): {some(lost)}"
            )


def column(table: pa.Table, path: Path, key: str) -> pa.ChunkedArray:
    """A column of a table; BadInput where there is none."""
    if key not in table.column_names:
        raise BadInput(f"{path}: has no column '{key}'.{nearest(key, table.column_names)}")
    return table.column(key)


def present(path: Path) -> bool:
    """Whether a file is there, and not just the pointer that git leaves instead of a large file."""
    try:
        if not path.is_file():
            return False
    except OSError:  # a name that is longer than a file system's may be
        return False
    with path.open("rb") as file:
        return file.read(len(_POINTER)) != _POINTER


def task_index(table: pa.Table, path: Path) -> int:
    """The task number of an episode's first row."""
    value = column(table, path, "task_index")[0].as_py()
    if not isinstance(value, int):
        raise BadInput(f"{path}: task_index is {value!r} in the first row; it must be a whole number")
    return value
