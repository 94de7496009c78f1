"""Makes a new dataset by passing each episode of another through a function; resumes where it stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robot_rl.data import layout
from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.errors import RobotRLError


def rewrite(
    dataset: Dataset,
    path: str | Path,
    change: Callable[[Episode, str], Episode],
    record: Mapping[str, Any],
    *,
    fps: float | None = None,
    cameras: Mapping[str, tuple[int, int]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Write `change(episode, where)` of every episode to the new folder `path`.

    `fps` (Hz) and `cameras` (name: height, width in pixels) are what the new episodes have, by default the
    source's. `record` is kept beside the source's hash. An error removes what was written; an interrupted run
    goes on when it is called again.
    """
    info = dataset.info
    writer = DatasetWriter(
        path,
        fps=info.fps if fps is None else fps,
        state_names=info.state_names,
        action_names=info.action_names,
        cameras=info.cameras if cameras is None else cameras,
        robot_type=info.robot_type,
        metadata=info.metadata,
        labels=info.labels,
        vectors=info.vectors,
        provenance=_provenance(dataset, record),
    )
    try:
        done = writer.closed_indices()
        for index in range(len(dataset)):
            if index not in done:
                writer.write(index, change(dataset.episode(index), f"{dataset.root}: episode {index}"))
            if progress:
                progress(index + 1, len(dataset))
        writer.close()
    except (RobotRLError, OSError):
        shutil.rmtree(writer.staging, ignore_errors=True)
        raise
    return Dataset.open(path)


def _provenance(dataset: Dataset, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **record,
        "name": dataset.root.resolve().name,
        "source_hash": dataset.content_hash,
        "source_provenance": dataset.info.provenance,
    }


def left_behind(dataset: Dataset) -> list[str]:
    """Columns of the source that an episode does not carry, and that a rewritten dataset lacks."""
    info = dataset.info
    kept = {layout.STATE, layout.ACTION, layout.REWARD, layout.SUCCESS, layout.DONE, *layout.BOOKKEEPING}
    kept |= {layout.OBSERVATION + name for name in info.vectors} | set(info.labels)
    pictures = {name for name, f in info.features.items() if f.get("dtype") in ("video", "image")}
    return sorted(set(info.features) - kept - pictures)
