"""What the exporters share: the source's own arrays out of a state, rows that follow, and our own words."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset

BATCH = 64  # pictures in memory while they are written


def own_words(dataset: Dataset) -> dict[str, Any]:
    """What the formats have no place for; kept beside the data, so that an import gives it back."""
    info = dataset.info
    units = {name: info.metadata.get(name) for name in ("state_units", "action_units")}
    return {
        **{name: list(told) for name, told in units.items() if isinstance(told, list | tuple)},
        "fps": info.fps,
        "robot_type": info.robot_type,
        "state_names": list(info.state_names),
        "action_names": list(info.action_names),
    }


def state_parts(dataset: Dataset, alone: str) -> list[tuple[str, tuple[int, ...], slice]]:
    """(key, shape of a step, columns) of the arrays that made up the state; one called `alone` otherwise."""
    size = len(dataset.info.state_names)
    source = dataset.info.metadata.get("source")
    told = source.get("state_parts") if isinstance(source, dict) else None
    parts, start = [], 0
    for part in told if isinstance(told, list) else ():
        shape = tuple(part["shape"])
        stop = start + int(np.prod(shape, dtype=np.int64))
        parts.append((part["key"], shape, slice(start, stop)))
        start = stop
    return parts if parts and start == size else [(alone, (size,), slice(0, size))]


def camera_keys(dataset: Dataset) -> dict[str, str]:
    """{camera: key in the source}, the camera's name where the source is not known."""
    source = dataset.info.metadata.get("source")
    told = source.get("cameras") if isinstance(source, dict) else None
    told = told if isinstance(told, dict) else {}
    return {name: str(told.get(name) or name) for name in dataset.info.cameras}


def next_rows(rows: np.ndarray, final: np.ndarray | None) -> np.ndarray:
    """(T, ...) what followed each step; the last row again where that is unknown."""
    last = rows[-1:] if final is None else np.asarray(final, rows.dtype)[None]
    return np.concatenate([rows[1:], last])


def final_of(episode: Episode, key: str) -> np.ndarray | None:
    """The observation after the last action, None where it is unknown."""
    return (episode.final_observation or {}).get(key)


def write_pictures(group: h5py.Group, key: str, frames: Any, final: Any = None, skip: int = 0) -> None:
    """Write `frames` from number `skip` on, and `final` behind them, as (T, H, W, 3) uint8, by batches."""
    count = len(frames) - skip + (final is not None)
    shape = (count, *frames.shape[1:])
    array = group.create_dataset(
        key, shape, np.uint8, chunks=(1, *shape[1:]), compression="gzip", compression_opts=1
    )
    for start in range(skip, len(frames), BATCH):
        stop = min(start + BATCH, len(frames))
        array[start - skip : stop - skip] = frames[start:stop]
    if final is not None:
        array[count - 1] = final
