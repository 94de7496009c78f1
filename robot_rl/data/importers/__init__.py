"""Turns datasets of other formats into ours: finds out what a path holds and copies it by episodes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_rl.data.disk import DiskTrouble
from robot_rl.data.episode import Episode, validate_episode
from robot_rl.data.importers.detect import FORMATS, SOURCES, detect
from robot_rl.data.importers.source import Options, Source
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.errors import BadInput

BATCH_BYTES = 2**25  # of episodes without pictures that are written together
__all__ = ["FORMATS", "ImportReport", "detect", "import_dataset", "import_source"]


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


def import_dataset(
    src: str | Path,
    dst: str | Path,
    *,
    task: str | None = None,
    episodes: int | Sequence[int] | None = None,
    resize: tuple[int, int] | None = None,
    fps: float | None = None,
    mapping: str | Path | None = None,
    robot: str | Path | None = None,
    on_bad: str = "raise",
    progress: Callable[[int, int], None] | None = None,
    starting: Callable[[int, str], None] | None = None,
    left_out: Mapping[int, str] | None = None,
) -> ImportReport:
    """Import the dataset at `src` into the new folder `dst`.

    `task` is the goal in words (required where the source has none), `episodes` the first n or a list of
    indices, `resize` (height, width) in pixels, `fps` (Hz) for sources that do not say, `mapping` the file
    that says what a bag's topics are, or `robot` the contract (its name or file) that does. A broken episode
    raises BadInput and removes partial output, or with
    `on_bad="skip"` is left out with a note. `progress(done, total)` is called after each episode and
    `starting(index, where)` before it; episodes in `left_out` are not read, with those notes. An interrupted
    import resumes when called again, and so does one that found the disk full.
    """
    kind = detect(src)
    for name, value in (("robot", robot), ("mapping", mapping)):
        if value is not None and kind != "bag":
            raise BadInput(f"{src} is {FORMATS[kind]}; '{name}' is for bags, whose topics it explains")
    options = Options(
        task, fps, resize, None if mapping is None else Path(mapping), None if robot is None else str(robot)
    )
    with SOURCES[kind](Path(src), options) as source:
        return import_source(
            source,
            dst,
            kind,
            src,
            episodes=episodes,
            on_bad=on_bad,
            progress=progress,
            starting=starting,
            left_out=left_out,
        )


def import_source(
    source: Source,
    dst: str | Path,
    kind: str,
    src: str | Path,
    *,
    episodes: int | Sequence[int] | None = None,
    on_bad: str = "raise",
    progress: Callable[[int, int], None] | None = None,
    starting: Callable[[int, str], None] | None = None,
    left_out: Mapping[int, str] | None = None,
) -> ImportReport:
    """Import an open source; arguments as of `import_dataset`."""
    if on_bad not in ("raise", "skip"):
        raise BadInput(f"on_bad is {on_bad!r}; it must be 'raise' or 'skip'")
    chosen = _choose(episodes, len(source), src)
    writer = DatasetWriter(dst, **source.settings)
    try:
        left_out = {i: note for i, note in (left_out or {}).items() if i in chosen}
        kept = [i for i in chosen if i not in left_out]
        if not kept:
            raise BadInput(f"every episode is broken; the first: {next(iter(left_out.values()))}")
        notes = [f"episode {i} skipped: {note}" for i, note in left_out.items()]
        notes += _copy(source, writer, kept, on_bad, progress, starting or (lambda *_: None))
        writer.close()
    except DiskTrouble:
        raise
    except Exception:
        shutil.rmtree(writer.staging, ignore_errors=True)
        raise
    return _report(kind, Dataset.open(dst), [*source.notes, *notes])


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
    starting: Callable[[int, str], None],
) -> list[str]:
    """Write the chosen episodes that are not there yet; returns notes on skipped ones."""
    notes, present, batch = [], writer.closed_indices(), _Batch(writer)
    try:
        for done, index in enumerate(chosen, start=1):
            if index not in present:
                starting(index, source.where(index))
                try:
                    episode = source.episode(index)
                    validate_episode(episode, source.where(index))
                    batch.add(index, episode)
                except DiskTrouble:
                    raise
                except BadInput as error:
                    if on_bad == "raise" and len(chosen) > 1:
                        raise BadInput(f"{error}, or leave such episodes out (--on-bad skip)") from error
                    if on_bad == "raise":
                        raise
                    notes.append(f"episode {index} skipped: {error}")
            if progress:
                progress(done, len(chosen))
    except KeyboardInterrupt:
        batch.flush()  # what is done is kept
        raise
    batch.flush()
    if len(notes) == len(chosen):
        raise BadInput(f"every episode is broken; the first: {notes[0]}")
    return notes


class _Batch:
    """Collects episodes without pictures, which are quicker to write together."""

    def __init__(self, writer: DatasetWriter):
        self._writer, self._held, self._size = writer, {}, 0

    def add(self, index: int, episode: Episode) -> None:
        """Write an episode that is valid, now or with those that follow."""
        if self._writer.spec.cameras:
            self._writer.write(index, episode)
            return
        columns = self._writer.check(index, episode, valid=True)  # here it can still be left out alone
        self._held[index] = episode, columns
        self._size += sum(values.nbytes for values in columns.values())
        if self._size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._writer.write_checked(self._held)
        self._held, self._size = {}, 0


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
