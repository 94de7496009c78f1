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
from robot_rl.data.tables import iter_table, read_table, read_tasks, to_numpy
from robot_rl.data.video import VideoPool
from robot_rl.errors import BadInput, nearest


class Dataset:
    """A dataset on disk; open it with `Dataset.open`. Arrays it returns are shared and read-only."""

    def __init__(self, root: Path, raw: Mapping[str, Any], info: DatasetInfo, episodes: list[dict[str, Any]]):
        self.root, self.info = root, info
        self.raw = raw  # meta/info.json as it is
        self.episodes = episodes  # rows of meta/episodes without statistics
        self.lengths = np.array([row["length"] for row in episodes], np.int64)  # (E,)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])  # (E,) first frame of each episode
        self._columns: dict[str, np.ndarray] = {}
        self._raw: dict[str, list[np.ndarray]] = {}  # read together, not yet asked for
        self._pool = VideoPool()
        self._cameras: dict[str, CameraSource] = {}

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """Open the dataset at `path`; BadInput if it is none, unfinished, broken or of another version."""
        root = Path(path)
        check_is_dataset(root)
        raw = layout.read_json(root / layout.INFO)
        layout.check_version(raw, root / layout.INFO)
        episodes = read_episodes(root)
        return cls(root, raw, read_info(root, raw, episodes), episodes)

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
            self._task(index),
            self.info.fps,
            self.column(layout.REWARD)[rows] if self.info.has_rewards else None,
            self.column(layout.SUCCESS)[rows] if self.info.has_success else None,
            extra.terminated,
            extra.final_observation,
            {name: self.column(name)[rows] for name in self.info.labels},
            extra.metadata,
        )

    def _task(self, index: int) -> str:
        return self._tasks[int(self.column("task_index")[self.starts[index]])]

    @cached_property
    def _tasks(self) -> dict[int, str]:
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

    def column(self, name: str) -> np.ndarray:
        """One column over all frames: (N,) or (N, K), floats as float32; BadInput if there is none."""
        if name not in self._columns:
            if name not in self.info.features or self.info.features[name].get("dtype") in ("video", "image"):
                known = [k for k, f in self.info.features.items() if f.get("dtype") not in ("video", "image")]
                raise BadInput(f"{self.root} has no column '{name}'.{nearest(name, known)}")
            values = self._read_column(name)
            if not self._in_order:
                values = values[self.order]
            values.flags.writeable = False
            if name in (layout.STATE, layout.ACTION, layout.REWARD):
                self._check_finite(name, values)
            self._columns[name] = values
        return self._columns[name]

    def load(self, *names: str) -> None:
        """Read columns together, which takes less time than one after the other, for `column` to give."""
        unread = [name for name in names if name not in self._columns]
        wanted = [name for name in (*unread, "index") if name in self.info.features]
        if not unread:
            return
        for path in self.data_files:
            table = read_table(path, wanted)
            for name in wanted:
                self._raw.setdefault(name, []).append(
                    to_numpy(table.column(name), f"{path}: column '{name}'")
                )
        for name in names:
            self.column(name)
        self._raw.clear()

    def _read_column(self, name: str) -> np.ndarray:
        parts = self._raw.get(name) or [
            to_numpy(read_table(path, [name]).column(0), f"{path}: column '{name}'")
            for path in self.data_files
        ]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if len(values) != self.lengths.sum():
            raise BadInput(
                f"{self.root}: data files hold {len(values)} frames, but meta/episodes says "
                f"{self.lengths.sum()}; fetch or import the dataset again"
            )
        return self._shaped(name, values)

    def iter_columns(self, names: Sequence[str], rows: int) -> Iterator[list[np.ndarray]]:
        """Several columns, at most `rows` frames at a time, where a whole one would not fit into memory.

        Each is (n,) or (n, K), as in `column`. BadInput for a dataset whose files are not in order.
        """
        if not self._in_order:
            raise BadInput(f"{self.root}: its data files do not hold the frames in order; import it again")
        for path in self.data_files:
            for table in iter_table(path, names, rows):
                where = f"{path}: column"
                yield [
                    self._shaped(name, to_numpy(table.column(k), f"{where} '{name}'"))
                    for k, name in enumerate(names)
                ]

    def _check_finite(self, name: str, values: np.ndarray) -> None:
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
        return np.argsort(self._read_column("index"), kind="stable")

    @cached_property
    def _in_order(self) -> bool:
        """Whether the data files hold the frames in order, so that no column has to be copied."""
        index = self._read_column("index")
        return bool((index[1:] > index[:-1]).all())

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
