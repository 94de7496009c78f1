"""Reads LeRobotDataset v3 folders of others into a dataset of our own; a partial download will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.checksums import verify
from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.extras import read_extras
from robot_rl.data.images import ImageFrames
from robot_rl.data.importers.lerobot_features import Features, column, task_index
from robot_rl.data.importers.source import Options
from robot_rl.data.info import read_episodes
from robot_rl.data.tables import read_rows, read_table, read_tasks, take_rows, to_numpy, to_python
from robot_rl.data.video import VideoFrames, VideoPool
from robot_rl.errors import BadInput

HELD = 2**27  # bytes of a data file without pictures up to which it is read at once


class LeRobotV3Source:
    """A v3 folder, read episode by episode; videos are copied, pictures in Parquet become videos."""

    def __init__(self, root: Path, options: Options):
        """Open `root`; the options' task replaces the source's task texts."""
        self.root, self._options = root, options
        self.features = Features(root, options)
        layout.check_version(self.features.info, self.features.info_path)
        verify(root)
        self._rows = read_episodes(root)
        self._tasks = read_tasks(root / layout.TASKS)
        self._extras = read_extras(root / layout.OWN_TABLE, len(self._rows))
        self._pool = VideoPool(2)
        self._held: tuple[Path | None, np.ndarray] = (None, np.empty(0, np.int64))
        self._whole: tuple[Path | None, pa.Table | None] = (None, None)
        self._indices = self.features.drop_absent(list(range(len(self._rows))), self._data, self._video)
        self.notes, self.settings = self.features.notes, self.features.settings()
        own = root / layout.OWN_JSON
        if own.exists():
            self.settings["metadata"]["source"]["metadata"] = layout.read_json(own).get("metadata") or {}

    def __enter__(self) -> LeRobotV3Source:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self._indices)

    def _place(self, index: int, name: str) -> Any:
        value = self._rows[index].get(name)
        if not isinstance(value, int):
            raise BadInput(f"{self.root}/meta/episodes: episode {index} has no whole number '{name}'")
        return value

    def _data(self, index: int) -> Path:
        where = f"{self.features.info_path}: data_path"
        return layout.fill(
            self.root,
            self.features.info.get("data_path"),
            where,
            chunk_index=self._place(index, "data/chunk_index"),
            file_index=self._place(index, "data/file_index"),
        )

    def _video(self, index: int, key: str) -> Path:
        return layout.fill(
            self.root,
            self.features.info.get("video_path"),
            f"{self.features.info_path}: video_path",
            video_key=key,
            chunk_index=self._place(index, f"videos/{key}/chunk_index"),
            file_index=self._place(index, f"videos/{key}/file_index"),
        )

    def where(self, index: int) -> str:
        """The episode's data file and its number."""
        return f"{self._data(self._indices[index])}: episode {self._indices[index]}"

    def episode(self, index: int) -> Episode:
        """Read one episode; BadInput names the file and field that is broken."""
        number = self._indices[index]
        path, extra = self._data(number), self._extras[number]
        pictures = [
            k for k in self.features.cameras.values() if self.features.features[k]["dtype"] == "image"
        ]
        wanted = [*self.features.columns(), "task_index"]
        table = self._read(path, wanted, pictures, self._rows_of(path, number))
        fields = self.features.fields(table, path)
        fields["observations"] |= {
            IMAGE + name: self._frames(table, path, key, number)
            for name, key in self.features.cameras.items()
        }
        final = {k: v for k, v in (extra.final_observation or {}).items() if k in fields["observations"]}
        return Episode(
            **fields,
            task=self._options.task or self._task_of(table, path),
            terminated=extra.terminated,
            final_observation=self._sized_final(final) or None,
            metadata={"source_episode": number, **extra.metadata},
        )

    def _read(self, path: Path, names: list[str], pictures: list[str], rows: np.ndarray) -> pa.Table:
        """Rows of a data file; its numbers are kept for the episodes that follow where they are not many."""
        if pictures or path.stat().st_size > HELD:
            return read_rows(path, [*names, *pictures], rows)
        if self._whole[0] != path:
            self._whole = path, read_table(path, names)
        return take_rows(self._whole[1], rows)

    def _sized_final(self, final: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Final pictures in the size that was asked for."""
        return {k: self._options.sized(v[None])[0] if k.startswith(IMAGE) else v for k, v in final.items()}

    def _rows_of(self, path: Path, number: int) -> np.ndarray:
        """Rows of a data file that belong to an episode, in the order of its frames."""
        if self._held[0] != path:  # the rows sorted by episode and frame, and the episode of each
            table = read_table(path, ["episode_index", "frame_index"])
            columns = []
            for name in ("episode_index", "frame_index"):
                values = to_numpy(table.column(name), f"{path}: column '{name}'")
                if values.ndim != 1 or values.dtype.kind not in "iu":
                    raise BadInput(f"{path}: column '{name}' must hold whole numbers, not {values.dtype}")
                columns.append(values.astype(np.int64))
            episodes, frames = columns
            order = np.lexsort((frames, episodes))
            self._held = path, np.stack([order, episodes[order]])
        order, episodes = self._held[1]
        rows = order[slice(*np.searchsorted(episodes, [number, number + 1]))]
        length = self._place(number, "length")
        if len(rows) != length:
            raise BadInput(
                f"{path} has {len(rows)} rows of episode {number}, but meta/episodes says {length}; "
                "fetch the dataset again"
            )
        return rows

    def _task_of(self, table: pa.Table, path: Path) -> str:
        index = task_index(table, path)
        if index not in self._tasks:
            raise BadInput(
                f"{path}: task_index {index} is not in {layout.TASKS}; it has {sorted(self._tasks)}"
            )
        return self._tasks[index]

    def _frames(self, table: pa.Table, path: Path, key: str, number: int) -> Frames:
        size = self.features.size(key)
        if self.features.features[key]["dtype"] == "image":
            values = to_python(column(table, path, key), path)
            return self._options.sized(ImageFrames(values, size, f"{path}: {key}", self.root))
        start = self._rows[number].get(f"videos/{key}/from_timestamp")
        if not isinstance(start, int | float) or not np.isfinite(start):
            raise BadInput(
                f"{self.root}/meta/episodes: episode {number} has no number 'videos/{key}/from_timestamp'"
            )
        video = self._video(number, key)
        frames = VideoFrames(video, size, float(start), table.num_rows, self.features.fps, self._pool)
        frames.file_range()  # the video is there for all of the episode
        actual = self._pool.reader(video).size
        if actual != size:
            raise BadInput(f"{video}: frames are {actual}, but meta/info.json says {size}")
        return self._options.sized(frames)
