"""Turns datasets of other formats into ours: finds out what a path holds and copies it by episodes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py

from robot_rl.data import layout
from robot_rl.data.episode import Episode, validate_episode
from robot_rl.data.importers.d4rl import D4rlSource
from robot_rl.data.importers.lerobot_v21 import LeRobotV21Source
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.errors import BadInput

FORMATS = {"lerobot_v21": "a LeRobotDataset v2.x folder", "d4rl": "a D4RL HDF5 file"}


@dataclass(frozen=True)
class ImportReport:
    """What an import brought in."""

    format: str
    episodes: int
    frames: int
    fps: float  # Hz
    cameras: tuple[str, ...]
    state_size: int
    action_size: int
    notes: tuple[str, ...]  # what a reader should know: skipped episodes, columns not taken over, ...


class Source(Protocol):
    """One dataset in another format."""

    settings: dict[str, Any]  # of the DatasetWriter
    notes: list[str]

    def __len__(self) -> int:
        """The number of episodes."""

    def where(self, index: int) -> str:
        """What to name in errors about episode `index`."""

    def episode(self, index: int) -> Episode:
        """Read one episode; BadInput where it is broken."""


def detect(src: str | Path) -> str:
    """Name the format at `src`: "lerobot_v21" or "d4rl"; BadInput where it is neither."""
    path = Path(src)
    if not path.exists():
        raise BadInput(f"{path} does not exist; give {' or '.join(FORMATS.values())}")
    if path.is_file():
        if h5py.is_hdf5(path):
            return "d4rl"
        raise BadInput(f"{path} is no HDF5 file (or a damaged one); give {' or '.join(FORMATS.values())}")
    if not (path / layout.INFO).is_file():
        raise BadInput(f"{path} is no dataset: it has no {layout.INFO}; give {' or '.join(FORMATS.values())}")
    version = str(layout.read_json(path / layout.INFO).get("codebase_version"))
    if version.startswith("v2."):
        return "lerobot_v21"
    if version.startswith("v3."):
        raise BadInput(f"{path} is a LeRobotDataset {version} already; it opens as it is, without an import")
    raise BadInput(f"{path / layout.INFO}: codebase_version is {version!r}; importable are v2.0 and v2.1")


def import_dataset(
    src: str | Path,
    dst: str | Path,
    *,
    task: str | None = None,
    episodes: int | Sequence[int] | None = None,
    resize: tuple[int, int] | None = None,
    fps: float | None = None,
    on_bad: str = "raise",
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Import the dataset at `src` into the new folder `dst`.

    `task` is the goal in words (required where the source has none), `episodes` the first n or a list of
    indices, `resize` (height, width) in pixels, `fps` (Hz) for sources that do not say. A broken episode
    raises BadInput and removes partial output, or with `on_bad="skip"` is left out with a note.
    `progress(done, total)` is called after each episode. An interrupted import resumes when called again.
    """
    if on_bad not in ("raise", "skip"):
        raise BadInput(f"on_bad is {on_bad!r}; it must be 'raise' or 'skip'")
    kind = detect(src)
    with _open(kind, Path(src), task, resize, fps) as source:
        chosen = _choose(episodes, len(source), src)
        writer = DatasetWriter(dst, **source.settings)
        try:
            notes = _copy(source, writer, chosen, on_bad, progress)
            writer.close()
        except Exception:
            shutil.rmtree(writer.staging, ignore_errors=True)
            raise
        return _report(kind, Dataset.open(dst), [*source.notes, *notes])


def _open(kind: str, src: Path, task: str | None, resize: tuple[int, int] | None, fps: float | None) -> Any:
    if kind == "d4rl":
        if resize is not None:
            raise BadInput(f"{src} holds no pictures; resize does not apply to D4RL files")
        return D4rlSource(src, task, fps)
    if fps is not None:
        raise BadInput(f"{src}: meta/info.json says the rate; fps only applies to formats that do not")
    return LeRobotV21Source(src, task, resize)


def _choose(episodes: int | Sequence[int] | None, total: int, src: str | Path) -> list[int]:
    if episodes is None:
        return list(range(total))
    chosen = list(range(min(episodes, total))) if isinstance(episodes, int) else sorted(set(episodes))
    outside = [i for i in chosen if not 0 <= i < total]
    if outside or not chosen:
        raise BadInput(f"episodes: {outside or 'nothing'} chosen, but {src} has episodes 0 to {total - 1}")
    return chosen


def _copy(
    source: Source,
    writer: DatasetWriter,
    chosen: Sequence[int],
    on_bad: str,
    progress: Callable[[int, int], None] | None,
) -> list[str]:
    """Write the chosen episodes that are not there yet; returns notes on skipped ones."""
    notes, present = [], writer.closed_indices()
    for done, index in enumerate(chosen, start=1):
        if index not in present:
            try:
                episode = source.episode(index)
                validate_episode(episode, source.where(index))
                writer.write(index, episode)
            except BadInput as error:
                if on_bad == "raise":
                    raise
                notes.append(f"episode {index} skipped: {error}")
        if progress:
            progress(done, len(chosen))
    if len(notes) == len(chosen):
        raise BadInput(f"every episode is broken; the first: {notes[0]}")
    return notes


def _report(kind: str, dataset: Dataset, notes: Sequence[str]) -> ImportReport:
    info = dataset.info
    return ImportReport(
        kind,
        len(dataset),
        info.total_frames,
        info.fps,
        tuple(info.cameras),
        len(info.state_names),
        len(info.action_names),
        tuple(notes),
    )
