"""Reads rosbag2 recordings in MCAP: topics are resampled to one rate, as a mapping says.

Each bag is an episode: a `.mcap` file, or a folder with metadata.yaml whose files follow one another. At
each step stands the last value of every topic; pictures are decoded when asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.importers.bag_file import BagFile, picture
from robot_rl.data.importers.bag_mapping import BagMapping, load_mapping, value_at
from robot_rl.data.importers.source import Options
from robot_rl.errors import BadInput

NANO = 1e-9


class BagSource:
    """One bag or a folder of bags, read through a mapping."""

    def __init__(self, path: Path, options: Options, mapping: BagMapping | None = None):
        """Open the bags at `path`; the mapping comes from the options' file unless it is given."""
        self.path, self._options = path, options
        self._task = options.task_or_refuse(path, "a bag")
        if mapping is None and options.mapping is None:
            raise BadInput(
                f"{path}: say which topics are state, actions and cameras: --mapping FILE (YAML); "
                f"its topics are {BagFile(find_bags(path)[0]).told_topics()}"
            )
        self._mapping = mapping or load_mapping(options.mapping)
        options.refuse_rate(path, "the mapping")
        self._bags = [BagFile(files) for files in find_bags(path)]
        self.notes: list[str] = []
        self._noted: set[int] = set()
        self.settings = self._settings()

    def __enter__(self) -> BagSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self._bags)

    def _settings(self) -> dict[str, Any]:
        sizes = {}
        for camera, topic in self._mapping.cameras.items():
            _, message = next(self._bags[0].messages([topic]), (0, None))
            if message is None:
                raise BadInput(f"{self._bags[0].name}: {self._bags[0].silent(topic)}")
            sizes[camera] = (
                self._options.resize or picture(message, f"{self._bags[0].name}: {topic}").shape[:2]
            )
        return {
            "fps": self._mapping.rate,
            "state_names": [field.name for field in self._mapping.state],
            "action_names": [field.name for field in self._mapping.actions],
            "cameras": sizes,
            "robot_type": self._mapping.robot,
            "metadata": {
                "source": {
                    "format": "rosbag2 MCAP",
                    "name": self.path.resolve().name,
                    "mapping": self._mapping.model_dump(mode="json"),
                }
            },
        }

    def where(self, index: int) -> str:
        """The bag."""
        return self._bags[index].name

    def episode(self, index: int) -> Episode:
        """One bag, resampled."""
        bag, mapping = self._bags[index], self._mapping
        series = {topic: self._series(bag, topic) for topic in mapping.topics}
        stamps = {topic: bag.stamps(topic) for topic in mapping.cameras.values()}
        times = {topic: found[0] for topic, found in series.items()} | stamps
        grid = self._grid(bag, times)
        self._note(bag, index, times)
        observations: dict[str, Any] = {"state": self._resampled(mapping.state, series, grid)}
        for camera, topic in mapping.cameras.items():
            numbers = np.searchsorted(stamps[topic], grid, "right") - 1
            observations[IMAGE + camera] = self._options.sized(BagFrames(bag, topic, stamps[topic], numbers))
        actions = self._resampled(mapping.actions, series, grid)
        start = int(grid[0])
        meta = {"source_bag": bag.name, "start_time_ns": start}
        return Episode(observations, actions, self._task, mapping.rate, metadata=meta)

    def _series(self, bag: BagFile, topic: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Times (N,) int64 in nanoseconds of a topic's messages, and its numbers by path, (N,) each."""
        fields = (*self._mapping.state, *self._mapping.actions)
        paths = list(dict.fromkeys(field.path for field in fields if field.topic == topic))
        times, rows = [], []
        for time, message in bag.messages([topic]):
            times.append(time)
            rows.append([value_at(message, path, f"{bag.name}: {topic}") for path in paths])
        if not times:
            raise BadInput(f"{bag.name}: {bag.silent(topic)}")
        order = np.argsort(times, kind="stable")
        values = np.asarray(rows, np.float64)[order]
        return np.asarray(times, np.int64)[order], dict(zip(paths, values.T, strict=True))

    def _grid(self, bag: BagFile, times: dict[str, np.ndarray]) -> np.ndarray:
        """Times of the steps: from when every topic has spoken until the first falls silent for good."""
        for topic, found in times.items():
            if not len(found):
                raise BadInput(f"{bag.name}: {bag.silent(topic)}")
        start = max(int(found[0]) for found in times.values())
        stop = min(int(found[-1]) for found in times.values())
        steps = int((stop - start) * NANO * self._mapping.rate + 1e-6) + 1
        if steps < 2:
            late = max(times, key=lambda topic: times[topic][0])
            raise BadInput(
                f"{bag.name}: all topics together last {max(stop - start, 0) * NANO:.3f} s ('{late}' begins "
                f"last); an episode needs at least 2 steps at {self._mapping.rate:g} Hz"
            )
        return start + np.round(np.arange(steps) / self._mapping.rate / NANO).astype(np.int64)

    def _note(self, bag: BagFile, index: int, times: dict[str, np.ndarray]) -> None:
        if index in self._noted:
            return
        self._noted.add(index)
        if bag.cut:
            self.notes.append(f"{bag.name} ends early (the recorder was killed?); what is readable was taken")
        for topic, found in times.items():
            gaps = np.diff(found) * NANO
            if len(gaps) and gaps.max() > self._mapping.stale_after:
                at = int(gaps.argmax())
                self.notes.append(
                    f"{bag.name}: '{topic}' is silent for {gaps[at]:.2f} s, "
                    f"{(found[at] - found[0]) * NANO:.2f} s after its first message; its last value is held"
                )

    def _resampled(self, fields: Any, series: dict[str, Any], grid: np.ndarray) -> np.ndarray:
        """(T, K) float32: each field's last value at each time of the grid."""
        columns = []
        for field in fields:
            times, values = series[field.topic]
            columns.append(values[field.path][np.searchsorted(times, grid, "right") - 1])
        return np.stack(columns, 1).astype(np.float32)


class BagFrames(Frames):
    """Pictures of a topic at the steps of an episode, decoded when read."""

    def __init__(self, bag: BagFile, topic: str, stamps: np.ndarray, numbers: np.ndarray):
        """Take the messages `numbers` (T,) int64 of a topic whose times are `stamps` (N,) int64 (ns)."""
        self._bag, self._topic, self._stamps, self._numbers = bag, topic, stamps, numbers
        _, first = next(bag.messages([topic]))
        self.shape = (len(numbers), *picture(first, f"{bag.name}: {topic}").shape)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the pictures at `indices` (n,)."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        wanted = self._stamps[self._numbers[np.asarray(indices)]]  # (n,) ns
        if not len(wanted):
            return out
        for time, message in self._bag.messages([self._topic], int(wanted.min()), int(wanted.max())):
            rows = np.flatnonzero(wanted == time)
            if len(rows):
                where = f"{self._bag.name}: {self._topic}: the picture at {time} ns"
                image = picture(message, where)
                if image.shape != self.shape[1:]:
                    raise BadInput(f"{where} is {image.shape}, the first {self.shape[1:]}; they must agree")
                out[rows] = image
        return out


def find_bags(path: Path) -> list[list[Path]]:
    """The files of each bag at `path`; BadInput where there is none."""
    if path.is_file():
        return [[path]]
    if (path / "metadata.yaml").is_file():
        return [_files(path)]
    inside = [[p] for p in sorted(path.glob("*.mcap"))]
    inside += [_files(p.parent) for p in sorted(path.glob("*/metadata.yaml"))]
    if not inside:
        raise BadInput(f"{path} holds no .mcap file and no folder of a bag with metadata.yaml")
    return inside


def _files(folder: Path) -> list[Path]:
    """The MCAP files of one recorded bag, in the order in which they were written."""
    files = sorted(folder.glob("*.mcap"), key=lambda p: (_number(p.stem), p.name))
    if not files:
        raise BadInput(f"{folder} has metadata.yaml but no .mcap file; convert it: ros2 bag convert")
    return files


def _number(stem: str) -> int:
    digits = stem.rsplit("_", 1)[-1]
    return int(digits) if digits.isdecimal() else -1
