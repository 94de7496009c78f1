"""Finds a camera's pictures in a v3 dataset: in shared MP4 files, or as images inside Parquet files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.episode import Frames
from robot_rl.data.tables import read_row_group, row_groups
from robot_rl.data.video import VideoFrames, VideoPool
from robot_rl.data.video_write import decode_image
from robot_rl.errors import BadInput

if TYPE_CHECKING:
    from robot_rl.data.store import Dataset


class CameraSource(Protocol):
    """One camera of a dataset."""

    def episode(self, index: int) -> Frames:
        """The pictures of one episode, lazily."""

    def files(self) -> list[Path]:
        """The video files that hold them."""


class VideoCamera:
    """A camera whose episodes lie one behind the other in MP4 files."""

    def __init__(self, dataset: Dataset, name: str, key: str, pool: VideoPool):
        self._dataset, self._name, self._key, self._pool = dataset, name, key, pool

    @property
    def key(self) -> str:
        """The feature's name, such as "observation.images.front"."""
        return self._key

    def _file(self, index: int) -> Path:
        dataset, row = self._dataset, self._dataset.episodes[index]
        return layout.fill(
            dataset.root,
            dataset.raw.get("video_path"),
            f"{dataset.root / layout.INFO}: video_path",
            video_key=self._key,
            chunk_index=self._field(row, "chunk_index"),
            file_index=self._field(row, "file_index"),
        )

    def _field(self, row: dict[str, Any], name: str) -> Any:
        column = f"videos/{self._key}/{name}"
        if row.get(column) is None:
            raise BadInput(
                f"{self._dataset.root}/meta/episodes: episode {row['episode_index']} has no '{column}'; "
                "fetch or import the dataset again"
            )
        return row[column]

    def episode(self, index: int) -> VideoFrames:
        """The pictures of one episode, decoded when read."""
        row, info = self._dataset.episodes[index], self._dataset.info
        return VideoFrames(
            self._file(index),
            info.cameras[self._name],
            float(self._field(row, "from_timestamp")),
            row["length"],
            info.fps,
            self._pool,
        )

    def files(self) -> list[Path]:
        """The MP4 files, each once."""
        return list(dict.fromkeys(self._file(i) for i in range(len(self._dataset))))


class ImageCamera:
    """A camera whose pictures are PNG or JPEG values of a Parquet column."""

    def __init__(self, dataset: Dataset, name: str, key: str):
        self._dataset, self._name, self._key = dataset, name, key
        groups = [(path, group, n) for path in dataset.data_files for group, n in row_groups(path)]
        self._groups = [(path, group) for path, group, _ in groups]
        self._ends = np.cumsum([count for *_, count in groups])  # rows up to the end of each row group
        self._held: OrderedDict[int, pa.ChunkedArray] = OrderedDict()  # row groups, pictures still encoded
        self._lock = threading.Lock()

    def episode(self, index: int) -> ImageFrames:
        """The pictures of one episode, decoded when read."""
        start = int(self._dataset.starts[index])
        rows = slice(start, start + int(self._dataset.lengths[index]))
        where = f"{self._dataset.root}: {self._key}"
        values = _Rows(
            self, np.arange(rows.start, rows.stop) if self._dataset.in_order else self._dataset.order[rows]
        )
        return ImageFrames(values, self._dataset.info.cameras[self._name], where, self._dataset.root)

    def value(self, row: int) -> Any:
        """The picture of a row of the data files, still encoded; a few row groups are kept."""
        number = int(np.searchsorted(self._ends, row, "right"))
        with self._lock:
            if number not in self._held:
                path, group = self._groups[number]
                self._held[number] = read_row_group(path, group, self._key)
                limit = self._dataset.cache_mb * 2**20
                while len(self._held) > 1 and sum(c.nbytes for c in self._held.values()) > limit:
                    self._held.popitem(last=False)
            self._held.move_to_end(number)
            column = self._held[number]
        return column[row - int(self._ends[number]) + len(column)].as_py()

    def files(self) -> list[Path]:
        """No files of their own."""
        return []


class _Rows:
    """The encoded pictures at some rows of the data files, read when asked for."""

    def __init__(self, camera: ImageCamera, rows: np.ndarray):
        self._camera, self._rows = camera, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        return self._camera.value(int(self._rows[index]))


class ImageFrames(Frames):
    """Encoded pictures of one episode, {"bytes": ..., "path": ...} each, decoded when read."""

    def __init__(self, values: Any, size: tuple[int, int], where: str, root: Path | None = None):
        """Take a sequence of pictures of `size`; those without bytes are files below `root`."""
        self._values, self._where, self._root = values, where, root
        self.shape = (len(values), *size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Decode the pictures at `indices` (n,)."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, index in enumerate(indices):
            where = f"{self._where}: frame {index}"
            image = decode_image(self._bytes(self._values[int(index)], where), where)
            if image.shape != self.shape[1:]:
                raise BadInput(
                    f"{where} has the shape {image.shape}, but meta/info.json says {self.shape[1:]}"
                )
            out[row] = image
        return out

    def _bytes(self, value: Any, where: str) -> bytes:
        data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        if isinstance(data, bytes):
            return data
        if not isinstance(path, str) or self._root is None:
            raise BadInput(f"{where} holds no picture bytes; export the dataset with its images embedded")
        file = layout.inside(self._root, path, where)
        try:
            return file.read_bytes()
        except OSError as error:
            raise BadInput(f"{where}: {file} cannot be read ({error.strerror}); fetch it") from error


def open_camera(dataset: Dataset, name: str, pool: VideoPool) -> CameraSource:
    """The source of camera `name`, by the kind its feature declares."""
    keys = (layout.IMAGES + name, name)
    key = next(k for k in keys if dataset.info.features.get(k, {}).get("dtype") in ("video", "image"))
    if dataset.info.features[key]["dtype"] == "image":
        return ImageCamera(dataset, name, key)
    return VideoCamera(dataset, name, key, pool)


def read_picture(path: Path) -> np.ndarray:
    """Read a PNG or JPEG file as (H, W, 3) uint8 RGB; raises BadInput that names it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: the picture cannot be read: {error.strerror or error}") from error
    return decode_image(data, str(path))
