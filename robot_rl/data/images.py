"""Finds a camera's pictures in a v3 dataset: in shared MP4 files, or as images inside Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import Frames
from robot_rl.data.tables import read_table, row_count
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
        counts = [row_count(path) for path in dataset.data_files]
        self._ends = np.cumsum(counts)  # rows of the files up to each one's end
        self._held: tuple[int, list[dict[str, Any]]] = (-1, [])  # a file and its pictures, still encoded

    def episode(self, index: int) -> ImageFrames:
        """The pictures of one episode, decoded when read."""
        start = int(self._dataset.starts[index])
        rows = self._dataset.order[start : start + int(self._dataset.lengths[index])]
        files = np.searchsorted(self._ends, rows, "right")
        begins = np.concatenate([[0], self._ends])[files]
        values = [
            self._values(int(file))[row] for file, row in zip(files, (rows - begins).tolist(), strict=True)
        ]
        return ImageFrames(
            values, self._dataset.info.cameras[self._name], f"{self._dataset.root}: {self._key}"
        )

    def _values(self, file: int) -> list[dict[str, Any]]:
        """The pictures of one data file; only the last one's are kept, as datasets outgrow memory."""
        if self._held[0] != file:
            table = read_table(self._dataset.data_files[file], [self._key])
            self._held = (file, table.column(0).to_pylist())
        return self._held[1]

    def files(self) -> list[Path]:
        """No files of their own."""
        return []


class ImageFrames(Frames):
    """Encoded pictures of one episode, {"bytes": ...} each, decoded when read."""

    def __init__(self, values: list[dict[str, Any]], size: tuple[int, int], where: str):
        self._values, self._where = values, where
        self.shape = (len(values), *size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Decode the pictures at `indices` (n,)."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, index in enumerate(indices):
            where, value = f"{self._where}: frame {index}", self._values[index]
            data = value.get("bytes") if isinstance(value, dict) else None
            if data is None:
                raise BadInput(f"{where} holds no picture bytes; export the dataset with its images embedded")
            image = decode_image(data, where)
            if image.shape != self.shape[1:]:
                raise BadInput(
                    f"{where} has the shape {image.shape}, but meta/info.json says {self.shape[1:]}"
                )
            out[row] = image
        return out


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
