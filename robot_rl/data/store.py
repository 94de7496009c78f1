"""Reads LeRobotDataset v3 folders, ours and others': numbers as whole columns, pictures when asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.extras import EpisodeExtra, read_endings, read_extras
from robot_rl.data.images import CameraSource, open_camera
from robot_rl.data.info import DatasetInfo, check_is_dataset, read_episodes, read_info
from robot_rl.data.tables import iter_table, join, numpy_parts, read_table, read_tasks, to_numpy
from robot_rl.data.video import CACHE_MB, VideoPool
from robot_rl.errors import BadInput, nearest


class Dataset:
    """A dataset on disk; open it with `Dataset.open`. Arrays it returns are shared and read-only."""

    def __init__(
        self,
        root: Path,
        raw: Mapping[str, Any],
        info: DatasetInfo,
        episodes: list[dict[str, Any]],
        cache_mb: float = CACHE_MB,
    ):
        self.root, self.info, self.cache_mb = root, info, cache_mb
        self.raw = raw  # meta/info.json as it is
        self.episodes = episodes  # rows of meta/episodes without statistics
        self.lengths = np.array([row["length"] for row in episodes], np.int64)  # (E,)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])  # (E,) first frame of each episode
        self._columns: dict[str, np.ndarray] = {}
        self._finite: set[str] = set()  # columns that were checked
        self._pool = VideoPool(cache_mb=cache_mb)
        self._cameras: dict[str, CameraSource] = {}

    @classmethod
    def open(cls, path: str | Path, *, cache_mb: float = CACHE_MB) -> Dataset:
        """Open the dataset at `path`; BadInput if it is none, unfinished, broken or of another version.

        `cache_mb` bounds the decoded frames, and for pictures in Parquet the encoded ones, that it keeps.
        """
        root = Path(path)
        check_is_dataset(root)
        raw = layout.read_json(root / layout.INFO)
        layout.check_version(raw, root / layout.INFO)
        episodes = read_episodes(root)
        return cls(root, raw, read_info(root, raw, episodes), episodes, cache_mb)

    def __len__(self) -> int:
        return len(self.episodes)

    def __iter__(self) -> Iterator[Episode]:
        return (self.episode(i) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Dataset({str(self.root)!r}, {len(self)} episodes, {self.info.total_frames} frames)"

    def episode(self, index: int) -> Episode:
        """Episode `index`, with pictures decoded lazily; IndexError outside the dataset."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} is outside 0..{len(self) - 1}")
        index %= len(self)
        rows = slice(self.starts[index], self.starts[index] + self.lengths[index])
        observations: dict[str, np.ndarray | Frames] = {"state": self.column(layout.STATE)[rows]}
        observations |= {name: self.column(layout.OBSERVATION + name)[rows] for name in self.info.vectors}
        observations |= {IMAGE + name: self.camera(name).episode(index) for name in self.info.cameras}
        extra = self._extras[index]
        return Episode(
            observations,
            self.column(layout.ACTION)[rows],
            self.task(index),
            self.info.fps,
            self.column(layout.REWARD)[rows] if self.info.has_rewards else None,
            self.column(layout.SUCCESS)[rows] if self.info.has_success else None,
            extra.terminated,
            extra.final_observation,
            {name: self.column(name)[rows] for name in self.info.labels},
            extra.metadata,
        )

    def task(self, index: int) -> str:
        """The task of episode `index`, in words."""
        number = self.column("task_index").reshape(-1)[self.starts[index]].item()
        if number not in self.tasks:  # nor is NaN
            raise BadInput(
                f"{self.root / layout.TASKS} has no task_index {number}, that of episode {index}; "
                "fetch or import the dataset again"
            )
        return self.tasks[number]

    @cached_property
    def tasks(self) -> dict[int, str]:
        """The tasks' texts by the number that the column "task_index" holds."""
        return read_tasks(self.root / layout.TASKS)

    @cached_property
    def _extras(self) -> list[EpisodeExtra]:
        return read_extras(self.root / layout.OWN_TABLE, len(self))

    @cached_property
    def data_files(self) -> list[Path]:
        """The data files in the order of their frames."""
        places = dict.fromkeys((row["data/chunk_index"], row["data/file_index"]) for row in self.episodes)
        where = f"{self.root / layout.INFO}: data_path"
        return [
            layout.fill(self.root, self.raw.get("data_path"), where, chunk_index=c, file_index=f)
            for c, f in places
        ]

    def column(self, name: str, finite: bool = True) -> np.ndarray:
        """One column over all frames: (N,) or (N, K), floats as float32; BadInput if there is none.

        States, actions and rewards that are not finite are refused, unless `finite` is False.
        """
        return self.columns([name], finite)[name]

    def columns(self, names: Sequence[str], finite: bool = True) -> dict[str, np.ndarray]:
        """Several columns as of `column`, read together, which is faster; pictures are not touched."""
        for name in names:
            if name not in self.info.features or self.info.features[name].get("dtype") in ("video", "image"):
                known = [k for k, f in self.info.features.items() if f.get("dtype") not in ("video", "image")]
                raise BadInput(f"{self.root} has no column '{name}'.{nearest(name, known)}")
        missing = [name for name in dict.fromkeys(names) if name not in self._columns]
        if missing:
            read = self._read_columns([*missing, "index"])
            self._set_order(read["index"])
            for name in missing:
                values = read[name] if self.in_order else read[name][self.order]
                values.flags.writeable = False
                self._columns[name] = values
        if finite:
            self._check_all_finite(names)
        return {name: self._columns[name] for name in names}

    def _check_all_finite(self, names: Sequence[str]) -> None:
        """Refuse values that are not finite in the columns that a learner reads; each is checked once."""
        for name in set(names) & {layout.STATE, layout.ACTION, layout.REWARD} - self._finite:
            self._check_finite(name, self._columns[name])
            self._finite.add(name)

    def _read_columns(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns in the order of the files, float32 where they are the robot's or labels."""
        names = list(dict.fromkeys(names))
        tables = [(path, read_table(path, names)) for path in self.data_files]
        found = {}
        for name in names:
            parts = [
                part
                for path, table in tables
                for part in numpy_parts(table.column(name), f"{path}: column '{name}'")
            ]
            values = join(parts, f"{self.root}: column '{name}'")
            if len(values) != self.lengths.sum():
                raise BadInput(
                    f"{self.root}: data files hold {len(values)} frames, but meta/episodes says "
                    f"{self.lengths.sum()}; fetch or import the dataset again"
                )
            found[name] = self._shaped(name, values)
        return found

    def _set_order(self, index: np.ndarray) -> None:
        """Note whether the files hold the frames in order, so that no column has to be copied."""
        if "in_order" not in self.__dict__:
            if index.ndim != 1 or index.dtype.kind not in "iu":
                raise BadInput(f"{self.root}: column 'index' must hold one whole number a frame")
            self.__dict__["in_order"] = bool((index[1:] > index[:-1]).all())
            if not self.in_order:
                self.__dict__["order"] = np.argsort(index, kind="stable")

    def iter_columns(self, names: Sequence[str], rows: int) -> Iterator[list[np.ndarray]]:
        """Several columns, at most `rows` frames at a time, where a whole one would not fit into memory.

        Each is (n,) or (n, K), as in `column`. BadInput for a dataset whose files are not in order.
        """
        if not self.in_order:
            raise BadInput(f"{self.root}: its data files do not hold the frames in order; import it again")
        for path in self.data_files:
            for table in iter_table(path, names, rows):
                where = f"{path}: column"
                yield [
                    self._shaped(name, to_numpy(table.column(k), f"{where} '{name}'"))
                    for k, name in enumerate(names)
                ]

    def _check_finite(self, name: str, values: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            if np.isfinite(values.sum()):  # a quick look: one value that is not finite makes the sum so
                return
        finite = np.isfinite(values.reshape(len(values), -1)).all(1)
        if not finite.all():
            frame = int(np.flatnonzero(~finite)[0])
            episode = int(self.episode_index[frame])
            raise BadInput(
                f"{self.root}: column '{name}' holds a value that is not finite in episode {episode}, "
                f"frame {frame - self.starts[episode]}; remove or repair the episode"
            )

    def _shaped(self, name: str, values: np.ndarray) -> np.ndarray:
        """Bring a column into the declared shape; robot data and labels become float32, success bool."""
        if name not in self.info.features:
            raise BadInput(f"{self.root / layout.INFO}: features has no '{name}', which the format requires")
        is_vector = (
            name in (layout.STATE, layout.ACTION)
            or name.removeprefix(layout.OBSERVATION) in self.info.vectors
        )
        size = int(np.prod(layout.shape_of(self.info.features[name], f"{self.root / layout.INFO}: {name}")))
        if values.size != len(values) * size:
            raise BadInput(
                f"{self.root}: column '{name}' holds {values.size // len(values)} numbers a step, "
                f"but meta/info.json says {size}"
            )
        values = values.reshape(-1, size) if is_vector or size > 1 else values.reshape(-1)
        if name == layout.SUCCESS:
            return np.ascontiguousarray(values, np.bool_)
        as_float = is_vector or values.dtype.kind == "f" or name == layout.REWARD
        return np.ascontiguousarray(values, np.float32 if as_float else values.dtype)

    @cached_property
    def order(self) -> np.ndarray:
        """(N,) int64: rows of the data files in the order of their frames."""
        return np.arange(self.lengths.sum()) if self.in_order else self.__dict__["order"]

    @cached_property
    def in_order(self) -> bool:
        """Whether the data files hold the frames in order."""
        self._set_order(self._read_columns(["index"])["index"])
        return self.__dict__["in_order"]

    @cached_property
    def episode_index(self) -> np.ndarray:
        """(N,) int64: the episode of each frame."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def frame_index(self) -> np.ndarray:
        """(N,) int64: the step of each frame within its episode."""
        return np.arange(self.lengths.sum()) - np.repeat(self.starts, self.lengths)

    @cached_property
    def terminated(self) -> np.ndarray:
        """(E,) bool: episodes that ended in an absorbing state."""
        return self._endings[0]

    @cached_property
    def _endings(self) -> tuple[np.ndarray, np.ndarray | None]:
        return read_endings(self.root / layout.OWN_TABLE, len(self), len(self.info.state_names))

    def final_states(self) -> np.ndarray | None:
        """(E, S) float32 states after the last action; rows of NaN where unknown, None if all are."""
        return self._endings[1]

    def final_pictures(self, camera: str) -> list[np.ndarray | None]:
        """The picture (H, W, 3) uint8 after each episode's last action, None where unknown."""
        return [(extra.final_observation or {}).get(IMAGE + camera) for extra in self._extras]

    def camera(self, name: str) -> CameraSource:
        """Access to one camera's pictures; BadInput if there is no such camera."""
        if name not in self.info.cameras:
            raise BadInput(f"{self.root} has no camera '{name}'.{nearest(name, self.info.cameras)}")
        if name not in self._cameras:
            self._cameras[name] = open_camera(self, name, self._pool)
        return self._cameras[name]

    def frames(self, camera: str, indices: np.ndarray) -> np.ndarray:
        """Pictures (n, H, W, 3) uint8 of global frame `indices` (n,); fast where they ascend."""
        wanted = np.asarray(indices, np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.info.total_frames):
            raise IndexError(f"frame indices must lie in 0..{self.info.total_frames - 1}")
        source, order = self.camera(camera), np.argsort(wanted, kind="stable")
        first = int(self.episode_index[wanted[0]]) if len(wanted) else 0
        start, stop = int(self.starts[first]), int(self.starts[first] + self.lengths[first])
        if len(wanted) and start <= wanted.min() and wanted.max() < stop:
            return source.episode(first)[wanted - start]
        out = np.empty((len(wanted), *self.info.cameras[camera], 3), np.uint8)
        episodes = self.episode_index[wanted[order]]
        for rows in np.split(order, np.flatnonzero(np.diff(episodes)) + 1) if len(order) else ():
            episode = int(self.episode_index[wanted[rows[0]]])
            out[rows] = source.episode(episode)[wanted[rows] - self.starts[episode]]
        return out

    def iter_frames(self, camera: str, batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first global index, pictures) over all frames in order, `batch_size` at a time."""
        for start in range(0, self.info.total_frames, batch_size):
            stop = min(start + batch_size, self.info.total_frames)
            yield start, self.frames(camera, np.arange(start, stop))

    @cached_property
    def content_hash(self) -> str:
        """Hex SHA-256 of info.json, Parquet files and videos (name, size, both ends), without provenance."""
        digest = hashlib.sha256(json.dumps(self.raw, sort_keys=True).encode())
        tables = [*self.data_files, self.root / layout.TASKS, self.root / layout.OWN_TABLE]
        for path in [p for p in tables if p.exists()]:
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
        for path in sorted({p for name in self.info.cameras for p in self.camera(name).files()}):
            with path.open("rb") as file:
                size = path.stat().st_size
                digest.update(f"{path.relative_to(self.root)} {size}".encode() + file.read(2**16))
                file.seek(max(0, size - 2**16))
                digest.update(file.read())
        return digest.hexdigest()
