"""Episodes for the Rerun viewer: one .rrd file an episode, on a time and a step axis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.findings import Inspection, Signal
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, need

_QUALITY = 85  # of JPEG pictures


def write_rerun(
    folder: Path, dataset: Dataset, inspection: Inspection, episodes: Sequence[int], cameras: Sequence[str]
) -> list[Path]:
    """Write each of the `episodes` with the pictures of `cameras` to a file in `folder`, whole or not at all.

    Every field becomes an entity with a line a channel; findings become log lines at their steps. Raises
    BadInput where rerun-sdk is not installed, `folder` is a file, or pictures cannot be read.
    """
    rerun = need("rerun", "rerun")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; give a folder, it gets one .rrd an episode")
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(rerun, folder, dataset, inspection, index, cameras) for index in episodes]


def _write(
    rerun: Any, folder: Path, dataset: Dataset, inspection: Inspection, index: int, cameras: Sequence[str]
) -> Path:
    path = folder / f"episode_{index:06d}.rrd"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.rrd")
    try:
        name = f"{dataset.root.resolve().name}/{path.stem}"
        stream = rerun.RecordingStream("robot_rl", recording_id=name)
        stream.save(temporary)
        stream.send_recording_name(f"episode {index}: {dataset.task(index)}")
        _log_episode(rerun, stream, dataset, inspection, index, cameras)
        stream.flush(blocking=True)
        stream.disconnect()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _log_episode(
    rerun: Any,
    stream: Any,
    dataset: Dataset,
    inspection: Inspection,
    index: int,
    cameras: Sequence[str],
) -> None:
    position = int(np.searchsorted(inspection.signals["state"].episodes, index))
    for signal in inspection.signals.values():
        _log_signal(rerun, stream, signal, position, dataset.info.fps)
    for finding in inspection.findings:
        for place in finding.places:
            if place.episode == index:
                _at(stream, place.first, dataset.info.fps)
                text = f"{finding.kind}: {finding.channel} {finding.what} ({place})"
                level = {"error": "ERROR", "warning": "WARN"}.get(finding.level, "INFO")
                stream.log("findings", rerun.TextLog(text, level=level))
    for camera in cameras:
        for step, picture in enumerate(dataset.camera(camera).episode(index)):
            _at(stream, step, dataset.info.fps)
            stream.log(f"camera/{camera}", rerun.Image(picture).compress(jpeg_quality=_QUALITY))


def _at(stream: Any, step: int, fps: float) -> None:
    stream.set_time("step", sequence=step)
    stream.set_time("time", duration=step / fps)


def _log_signal(rerun: Any, stream: Any, signal: Signal, position: int, fps: float) -> None:
    """One field of one episode: an entity with a line for each channel."""
    values = signal.values[signal.rows(position)].astype(np.float64)
    names = [
        f"{part or signal.field}{f' [{unit}]' if unit else ''}"
        for part, unit in zip(signal.parts, signal.units, strict=True)
    ]
    steps = np.arange(len(values))
    stream.log(signal.field, rerun.SeriesLines(names=names), static=True)
    columns = rerun.Scalars.columns(scalars=values.ravel()).partition([values.shape[1]] * len(values))
    clocks = [rerun.TimeColumn("step", sequence=steps), rerun.TimeColumn("time", duration=steps / fps)]
    stream.send_columns(signal.field, indexes=clocks, columns=columns)
