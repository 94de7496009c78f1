"""Reads LeRobotDataset v2.0 and v2.1: one Parquet file and one MP4 per camera for each episode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.images import ImageFrames
from robot_rl.data.tables import read_table, to_numpy
from robot_rl.data.video import ResizedFrames, open_whole
from robot_rl.errors import BadInput, nearest

NUMBERS = ("float", "int", "uint", "bool")


class LeRobotV21Source:
    """A v2.x folder, read episode by episode; videos stay as they are unless they are resized."""

    def __init__(self, root: Path, task: str | None = None, resize: tuple[int, int] | None = None):
        """Open `root`; `task` replaces the source's task texts, `resize` is (height, width) in pixels."""
        self.root, self._task, self._resize = root, task, resize
        self.info_path = root / layout.INFO
        self.info = layout.read_json(self.info_path)
        self.features = self._checked_features()
        self._rows = self._by_index("meta/episodes.jsonl", "episode_index")
        self._tasks = self._by_index("meta/tasks.jsonl", "task_index")
        if not self._rows or sorted(self._rows) != list(range(len(self._rows))):
            raise BadInput(f"{root}/meta/episodes.jsonl: episode_index must count 0, 1, 2, ... without gaps")
        self.notes: list[str] = []
        self._sort_features()
        self.settings = self._settings()

    def __enter__(self) -> LeRobotV21Source:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self._rows)

    def _checked_features(self) -> dict[str, Mapping[str, Any]]:
        features = self.info.get("features")
        if not isinstance(features, dict) or not all(isinstance(f, dict) for f in features.values()):
            raise BadInput(f"{self.info_path}: features is missing; it must describe every column")
        for name in (layout.STATE, layout.ACTION):
            if name not in features:
                raise BadInput(f"{self.info_path}: features has no '{name}'.{nearest(name, features)}")
        return features

    def _by_index(self, name: str, key: str) -> dict[int, dict[str, Any]]:
        path = self.root / name
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
            return {int(row[key]): row for row in rows}
        except FileNotFoundError as error:
            raise BadInput(f"{path} is missing; fetch the dataset again") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{path} is not one JSON object with '{key}' a line ({error!r}); fetch it again"
            ) from error

    def _sort_features(self) -> None:
        """Decide what becomes a camera, a further observation or a label; note what is left behind."""
        self._cameras: dict[str, str] = {}  # camera name -> feature key
        self._vectors: dict[str, str] = {}
        self._labels: list[str] = []
        known = {layout.STATE, layout.ACTION, layout.REWARD, layout.SUCCESS, layout.DONE, *layout.BOOKKEEPING}
        for key, feature in self.features.items():
            kind, shape = str(feature.get("dtype")), feature.get("shape")
            if kind in ("video", "image"):
                self._cameras[layout.check_name(layout.camera_name(key), f"{self.info_path}: features")] = key
            elif key in known:
                continue
            elif kind.startswith(NUMBERS) and key.startswith(layout.OBSERVATION) and len(shape or ()) == 1:
                self._vectors[key.removeprefix(layout.OBSERVATION)] = key
            elif kind.startswith(NUMBERS) and list(shape or ()) == [1]:
                self._labels.append(key)
            else:
                self.notes.append(f"column '{key}' ({kind} {shape}) was not taken over")

    def _settings(self) -> dict[str, Any]:
        fps = self.info.get("fps")
        if not isinstance(fps, int | float) or fps <= 0:
            raise BadInput(
                f"{self.info_path}: fps is {fps!r}; it must be a positive number of steps a second"
            )
        sizes = {
            name: self._resize or layout.image_size(self.features[key], f"{self.info_path}: {key}")
            for name, key in self._cameras.items()
        }
        return {
            "fps": float(fps),
            "state_names": self._names(layout.STATE),
            "action_names": self._names(layout.ACTION),
            "cameras": sizes,
            "robot_type": str(self.info.get("robot_type") or "unknown"),
            "labels": self._labels,
            "vectors": {name: self._names(key) for name, key in self._vectors.items()},
            "metadata": {
                "source": {
                    "format": f"LeRobotDataset {self.info.get('codebase_version')}",
                    "name": self.root.resolve().name,
                    "features": self.features,
                }
            },
        }

    def _names(self, key: str) -> list[str]:
        size = int(np.prod(layout.shape_of(self.features[key], f"{self.info_path}: {key}")))
        return layout.names_of(self.features[key], size, key.rsplit(".", 1)[-1])

    def _file(self, template: str, index: int, **values: str) -> Path:
        chunk = index // int(self.info.get("chunks_size") or layout.CHUNK_SIZE)
        where = f"{self.info_path}: {template}"
        return layout.fill(
            self.root, self.info.get(template), where, episode_chunk=chunk, episode_index=index, **values
        )

    def where(self, index: int) -> str:
        """The episode's Parquet file."""
        return str(self._file("data_path", index))

    def episode(self, index: int) -> Episode:
        """Read one episode; BadInput names the file and field that is broken."""
        path, length = self._file("data_path", index), self._rows[index].get("length")
        table = read_table(path)
        if table.num_rows != length:
            raise BadInput(
                f"{path} has {table.num_rows} rows, but meta/episodes.jsonl says {length}; fetch it again"
            )
        observations: dict[str, np.ndarray | Frames] = {"state": self._vector(table, path, layout.STATE)}
        observations |= {name: self._vector(table, path, key) for name, key in self._vectors.items()}
        observations |= {
            IMAGE + name: self._frames(table, path, key, index) for name, key in self._cameras.items()
        }
        rewards = self._scalar(table, path, layout.REWARD) if layout.REWARD in self.features else None
        success = self._scalar(table, path, layout.SUCCESS) if layout.SUCCESS in self.features else None
        return Episode(
            observations,
            self._vector(table, path, layout.ACTION),
            self._task or self._task_of(table, path),
            self.settings["fps"],
            rewards,
            None if success is None else success.astype(bool),
            labels={key: self._scalar(table, path, key) for key in self._labels},
            metadata={"source_episode": index},
        )

    def _column(self, table: pa.Table, path: Path, key: str) -> pa.ChunkedArray:
        if key not in table.column_names:
            raise BadInput(f"{path}: has no column '{key}'.{nearest(key, table.column_names)}")
        return table.column(key)

    def _vector(self, table: pa.Table, path: Path, key: str) -> np.ndarray:
        values = to_numpy(self._column(table, path, key), f"{path}: column '{key}'").reshape(
            table.num_rows, -1
        )
        size = int(np.prod(self.features[key]["shape"]))
        if values.shape[1] != size:
            raise BadInput(
                f"{path}: column '{key}' has {values.shape[1]} values a row, but info.json says {size}"
            )
        return values.astype(np.float32)

    def _scalar(self, table: pa.Table, path: Path, key: str) -> np.ndarray:
        return self._vector(table, path, key).reshape(-1)

    def _task_of(self, table: pa.Table, path: Path) -> str:
        index = int(self._column(table, path, "task_index")[0].as_py())
        if index not in self._tasks:
            raise BadInput(
                f"{path}: task_index {index} is not in meta/tasks.jsonl; it has {sorted(self._tasks)}"
            )
        return str(self._tasks[index].get("task"))

    def _frames(self, table: pa.Table, path: Path, key: str, index: int) -> Frames:
        size = layout.image_size(self.features[key], f"{self.info_path}: {key}")
        if self.features[key]["dtype"] == "image":
            values = self._column(table, path, key).to_pylist()
            frames: Frames = ImageFrames(values, size, f"{path}: {key}")
        else:
            video = self._file("video_path", index, video_key=key)
            frames = open_whole(video, self.settings["fps"])
            if frames.shape[1:3] != size:
                raise BadInput(f"{video}: frames are {frames.shape[1:3]}, but meta/info.json says {size}")
            if len(frames) != table.num_rows:
                raise BadInput(
                    f"{video} has {len(frames)} frames, but {path} has {table.num_rows} rows; fetch it again"
                )
        return frames if self._resize in (None, size) else ResizedFrames(frames, self._resize)
