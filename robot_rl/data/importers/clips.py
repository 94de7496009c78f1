"""Reads a folder of video clips, one an episode, with a CSV file of states and actions beside each, or alone.

`pour.mp4` is an episode's picture, `pour.csv` its numbers: one row a frame, or at a rate of its own with a
column `timestamp`. Columns are `state.<part>`, `action.<part>`, `reward`, `success`, `task`; further columns
of numbers become labels. More cameras are `pour.<camera>.mp4` or folders `<camera>/pour.mp4`.

An episode needs a state and actions. Where there is no CSV, or it has none, each is one placeholder that is
always zero, named `no_state` and `no_action`, and the dataset's metadata lists them under `placeholders`:
such a dataset can be labeled and given a reward, and what trains a policy refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.importers.clocks import SOURCE_TIME, seconds, unit_words
from robot_rl.data.importers.csv_table import CsvTable
from robot_rl.data.importers.source import Options
from robot_rl.data.video import VideoPool, WholeVideo
from robot_rl.errors import BadInput

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")
CAMERA = "camera"  # the name of a clip's only camera


class ClipsSource:
    """A folder of clips, or one clip."""

    def __init__(self, path: Path, options: Options):
        """List the clips at `path`; the options' task is needed unless a CSV file has a column `task`."""
        self.path, self._options = path, options
        self.notes: list[str] = []
        self._pool = VideoPool(4)
        self._clips = find_clips(path)
        self._names = sorted(self._clips)
        tables = {name: self._csv(name) for name in self._names}
        self._tables: dict[str, CsvTable | None] = {
            name: CsvTable(p) if p.is_file() else None for name, p in tables.items()
        }
        self._check_alike()
        first = self._names[0]
        self._cameras = sorted(self._clips[first])
        self._fps = self._rate(first)
        table = self._tables[first]
        self._columns = table.sorted_columns() if table else {"state": [], "action": [], "labels": []}
        # A column of that name is there already where the CSV files are from a dataset of ours.
        self._clock = bool(table and table.stamped and SOURCE_TIME not in table.columns)
        self._task_of(first)
        self.settings = self._settings(first)

    def __enter__(self) -> ClipsSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self._names)

    def _csv(self, name: str) -> Path:
        folder = self.path if self.path.is_dir() else self.path.parent
        return folder / f"{name}.csv"

    def _check_alike(self) -> None:
        """All episodes have the same cameras, and either all or none a CSV file of the same columns."""
        first = self._names[0]
        for name in self._names[1:]:
            if set(self._clips[name]) != set(self._clips[first]):
                raise BadInput(
                    f"{self.path}: '{name}' has the cameras {sorted(self._clips[name])}, but '{first}' has "
                    f"{sorted(self._clips[first])}; every episode needs the same"
                )
            one, other = self._tables[name], self._tables[first]
            if (one is None) != (other is None):
                lacking, having = (name, first) if one is None else (first, name)
                raise BadInput(f"{self.path}: '{having}' has a CSV file, but '{lacking}' has none; add it")
            if one and other and set(one.columns) != set(other.columns):
                odd = sorted(set(one.columns) ^ set(other.columns))[0]
                raise BadInput(f"{one.path}: the column '{odd}' is not in both this file and {other.path}")

    def _rate(self, first: str) -> float:
        """The user's rate, that of the CSV's time stamps, or the video's."""
        table = self._tables[first]
        video = self._video(first, self._cameras[0])
        times = table.times() if table else None
        if self._options.fps:
            if times is not None:
                raise BadInput(f"{table.path}: 'timestamp' says the rate; fps only applies without it")
            if abs(self._options.fps - video.fps) > 0.01 * video.fps and table is None:
                self.notes.append(
                    f"of the video's {video.fps:g} frames/s the nearest to {self._options.fps:g} Hz are taken"
                )
            return self._options.fps
        if times is not None:
            return round(float(1 / np.median(np.diff(times))), 3)
        return round(video.fps, 3)

    def _video(self, name: str, camera: str) -> WholeVideo:
        return WholeVideo(self._clips[name][camera], self._pool)

    def _settings(self, first: str) -> dict[str, Any]:
        sizes = {}
        for camera in self._cameras:
            sizes[camera] = self._options.resize or self._size(camera)
        units = {f"{kind}_units": [_unit(c) for c in self._parts(kind)] for kind in ("state", "action")}
        absent = [kind for kind in ("state", "action") if not self._columns[kind]]
        if absent:
            self.notes.append(
                f"there is no {' and no '.join(absent)}: a zero stands in "
                f"({', '.join('no_' + kind for kind in absent)}); the dataset can be labeled and given a "
                "reward, but no policy can be trained on it"
            )
        return {
            "fps": self._fps,
            "state_names": self._parts("state"),
            "action_names": self._parts("action"),
            "cameras": sizes,
            "labels": [*self._columns["labels"], *([SOURCE_TIME] if self._clock else [])],
            "metadata": {
                "source": {
                    "format": "video clips",
                    "name": self.path.resolve().name,
                    "columns": self._columns,
                    "clips": self._names,
                },
                **({"placeholders": absent} if absent else {}),
                **unit_words(units, len(units["state_units"]), len(units["action_units"])),
            },
        }

    def _size(self, camera: str) -> tuple[int, int]:
        """The size of a camera's pictures; raises BadInput, with the remedy, where clips differ."""
        first, size = self._names[0], self._video(self._names[0], camera).shape[1:3]
        for name in self._names[1:]:
            other = self._video(name, camera).shape[1:3]
            if other != size:
                raise BadInput(
                    f"{self._clips[name][camera]}: its pictures are {other[0]}x{other[1]} pixels, those of "
                    f"'{first}' {size[0]}x{size[1]}; give one size for all, e.g. --resize 224x224"
                )
        return size

    def _parts(self, kind: str) -> list[str]:
        return [c.split(".", 1)[1] for c in self._columns[kind]] or [f"no_{kind}"]

    def _task_of(self, name: str) -> str:
        table = self._tables[name]
        told = table.first_text("task") if table else None
        if self._options.task or not told:
            return self._options.task_or_refuse(self.path, "a folder of clips")
        return told

    def where(self, index: int) -> str:
        """The clip of the first camera."""
        return str(self._clips[self._names[index]][self._cameras[0]])

    def episode(self, index: int) -> Episode:
        """One clip, with the numbers beside it."""
        name = self._names[index]
        table = self._tables[name]
        videos = {camera: self._video(name, camera) for camera in self._cameras}
        times = self._times(table, videos[self._cameras[0]])
        observations: dict[str, Any] = {"state": self._numbers(table, "state", len(times))}
        for camera, video in videos.items():
            observations[IMAGE + camera] = self._options.sized(self._frames(table, video, times))
        columns = table.columns if table else ()
        success = table.numbers("success") > 0 if "success" in columns else None
        return Episode(
            observations,
            self._numbers(table, "action", len(times)),
            self._task_of(name),
            self._fps,
            table.numbers("reward") if "reward" in columns else None,
            success,
            labels={label: table.numbers(label) for label in self._columns["labels"]}
            | ({SOURCE_TIME: seconds(table.stamps(self._fps))} if self._clock else {}),
            metadata={"source_clip": name},
        )

    def _times(self, table: CsvTable | None, video: WholeVideo) -> np.ndarray:
        """When each step is, in seconds of the video."""
        if table is not None:
            times = table.times()
            if times is not None:
                return times - times[0]
            steps = len(table)
            if steps != len(video):
                raise BadInput(
                    f"{table.path} has {steps} rows, but {video.path} has {len(video)} frames; give one "
                    "row a frame, or a column 'timestamp' in seconds"
                )
            return video.times
        if self._fps == round(video.fps, 3):
            return video.times
        return np.arange(0, video.times[-1] + 0.5 / video.fps, 1 / self._fps)

    def _frames(self, table: CsvTable | None, video: WholeVideo, times: np.ndarray) -> Frames:
        if len(times) == len(video) and np.array_equal(times, video.times):
            return video.as_stored(self._fps)
        return video.at(times)

    def _numbers(self, table: CsvTable | None, kind: str, steps: int) -> np.ndarray:
        names = self._columns[kind]
        if not names:
            return np.zeros((steps, 1), np.float32)
        return np.stack([table.numbers(name) for name in names], 1)


def _unit(name: str) -> str:
    """The unit at the end of a column's name: "elbow [deg]" or "elbow (deg)"."""
    found = re.search(r"[\[(]([^\[\]()]+)[\])]$", name.strip())
    return found[1].strip() if found else ""


def find_clips(path: Path) -> dict[str, dict[str, Path]]:
    """{episode: {camera: file}} of the clips at `path`; BadInput where there are none."""
    if path.is_file():
        return {path.stem: {CAMERA: path}}
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        folders = file.relative_to(path).parts[:-1]
        stem, _, camera = file.stem.rpartition(".") if "." in file.stem else (file.stem, "", "")
        if len(folders) > 1:
            raise BadInput(f"{file}: clips lie in {path} itself or in one folder for each camera, not deeper")
        if folders:
            stem, camera = file.stem, folders[0]
        camera = layout.safe_name(camera or CAMERA)
        if camera in found.setdefault(stem, {}):
            raise BadInput(f"{file}: '{stem}' has two clips of the camera '{camera}'; rename one")
        found[stem][camera] = file
    if not found:
        raise BadInput(f"{path} holds no video clips ({', '.join(SUFFIXES)})")
    return found


def has_clips(path: Path) -> bool:
    """Whether there are clips in a folder or in its subfolders."""
    near: Mapping[str, Any] = {p.suffix.lower(): p for pattern in ("*", "*/*") for p in path.glob(pattern)}
    return any(suffix in near for suffix in SUFFIXES)
