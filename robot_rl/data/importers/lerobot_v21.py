"""Reads LeRobotDataset v2.0 and v2.1: one Parquet file and one MP4 per camera for each episode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.images import ImageFrames
from robot_rl.data.importers.lerobot_features import Features, column, task_index
from robot_rl.data.importers.source import Options
from robot_rl.data.tables import read_table, to_python
from robot_rl.data.video import open_whole
from robot_rl.errors import BadInput


class LeRobotV21Source:
    """A v2.x folder, read episode by episode; videos stay as they are unless they are resized."""

    def __init__(self, root: Path, options: Options):
        """Open `root`; the options' task replaces the source's task texts."""
        self.root, self._options = root, options
        self.features = Features(root, options)
        self._rows = self._by_index("meta/episodes.jsonl", "episode_index")
        self._tasks = self._by_index("meta/tasks.jsonl", "task_index")
        if not self._rows or min(self._rows) < 0:
            raise BadInput(
                f"{root}/meta/episodes.jsonl: there must be episodes, with an episode_index from 0 on"
            )
        self._indices = self.features.drop_absent(
            sorted(self._rows),
            lambda i: self._file("data_path", i),
            lambda i, key: self._file("video_path", i, video_key=key),
        )
        self.notes, self.settings = self.features.notes, self.features.settings()

    def __enter__(self) -> LeRobotV21Source:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self._indices)

    def _by_index(self, name: str, key: str) -> dict[int, dict[str, Any]]:
        path = self.root / name
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
            return {int(row[key]): row for row in rows}
        except FileNotFoundError as error:
            raise BadInput(f"{path} is missing; fetch the dataset again") from error
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise BadInput(
                f"{path} is not one JSON object with '{key}' a line ({error!r}); fetch it again"
            ) from error

    def _file(self, template: str, index: int, **values: str) -> Path:
        size = self.features.info.get("chunks_size") or layout.CHUNK_SIZE
        if not isinstance(size, int) or size < 1:
            raise BadInput(
                f"{self.features.info_path}: chunks_size is {size!r}; it must be a whole number from 1"
            )
        where = f"{self.features.info_path}: {template}"
        return layout.fill(
            self.root,
            self.features.info.get(template),
            where,
            episode_chunk=index // size,
            episode_index=index,
            **values,
        )

    def where(self, index: int) -> str:
        """The episode's Parquet file."""
        return str(self._file("data_path", self._indices[index]))

    def episode(self, index: int) -> Episode:
        """Read one episode; BadInput names the file and field that is broken."""
        number = self._indices[index]
        path, length = self._file("data_path", number), self._rows[number].get("length")
        table = read_table(path)
        if table.num_rows != length:
            raise BadInput(
                f"{path} has {table.num_rows} rows, but meta/episodes.jsonl says {length}; fetch it again"
            )
        if not table.num_rows:
            raise BadInput(f"{path} has no rows; fetch it again")
        fields = self.features.fields(table, path)
        fields["observations"] |= {
            IMAGE + name: self._frames(table, path, key, number)
            for name, key in self.features.cameras.items()
        }
        task = self._options.task or self._task_of(table, path)
        return Episode(**fields, task=task, metadata={"source_episode": number})

    def _task_of(self, table: pa.Table, path: Path) -> str:
        index = task_index(table, path)
        if index not in self._tasks:
            raise BadInput(
                f"{path}: task_index {index} is not in meta/tasks.jsonl; it has {sorted(self._tasks)}"
            )
        return str(self._tasks[index].get("task"))

    def _frames(self, table: pa.Table, path: Path, key: str, number: int) -> Frames:
        size = self.features.size(key)
        if self.features.features[key]["dtype"] == "image":
            values = to_python(column(table, path, key), path)
            return self._options.sized(ImageFrames(values, size, f"{path}: {key}", self.root))
        video = self._file("video_path", number, video_key=key)
        frames = open_whole(video, self.features.fps)
        if frames.shape[1:3] != size:
            raise BadInput(f"{video}: frames are {frames.shape[1:3]}, but meta/info.json says {size}")
        if len(frames) != table.num_rows:
            raise BadInput(
                f"{video} has {len(frames)} frames, but {path} has {table.num_rows} rows; fetch it again"
            )
        return self._options.sized(frames)
