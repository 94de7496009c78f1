"""Transitions in one memory-mapped file, for datasets that are larger than memory: a batch is one gather.

A row holds all of one transition, unscaled, so that a file serves every later run on the same dataset.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.data import layout
from robot_rl.data.replay import final_states
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.specs.paths import cache_dir

CHUNK = 200_000  # rows held in memory at a time
Progress = Callable[[int], object]


@dataclass(frozen=True)
class ReplayFile:
    """N transitions in rows of next observation, observation, action, reward and mask."""

    rows: np.ndarray  # (N, 2 S + A + 2) float32, a read-only memory map
    state_size: int  # S
    action_size: int  # A
    counts: np.ndarray  # (E,) int64: how many rows each episode has
    source: str  # hash of the dataset and the name of the rewards' column

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def actions(self) -> np.ndarray:
        """(N, A)."""
        return self.rows[:, 2 * self.state_size : -2]

    def first(self, episodes: int) -> ReplayFile:
        """The rows of the first episodes alone."""
        counts = self.counts[:episodes]
        return dataclasses.replace(self, rows=self.rows[: counts.sum()], counts=counts)

    def chunks(self) -> Iterator[np.ndarray]:
        """The rows in order, so many at a time."""
        return (self.rows[start : start + CHUNK] for start in range(0, len(self), CHUNK))


def replay_file(
    dataset: Dataset, reward_column: str | None = layout.REWARD, progress: Progress | None = None
) -> ReplayFile:
    """The transitions of a dataset as `transitions_from_dataset` has them, in a file of the cache folder.

    It is written once; memory does not grow with the dataset. Raises BadInput where it cannot be written,
    for frames that are not in order, and for values that are not finite.
    """
    named = json.dumps([dataset.content_hash, reward_column])
    key = hashlib.sha256(named.encode()).hexdigest()
    path = cache_dir() / "replay" / f"{key[:32]}.npy"
    sizes = len(dataset.info.state_names), len(dataset.info.action_names)
    finals, known = final_states(dataset)
    lost = ~known & ~dataset.terminated
    counts = dataset.lengths - lost
    if not path.exists():
        _write(path, dataset, reward_column, (int(counts.sum()), 2 * sizes[0] + sizes[1] + 2), finals, known,
               progress)  # fmt: skip
    return ReplayFile(np.load(path, mmap_mode="r", allow_pickle=False), *sizes, counts, key)


def _write(
    path: Path,
    dataset: Dataset,
    reward_column: str | None,
    shape: tuple[int, int],
    finals: np.ndarray | None,
    known: np.ndarray,
    progress: Progress | None,
) -> None:
    """Write the file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        needed = shape[0] * shape[1] * 4
        free = os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize
        if free < needed:  # a full disk would end the process, as writing to a map reports no error
            raise BadInput(
                f"{path.parent}: the transitions take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
                "make room, or set ROBOT_RL_CACHE to a folder elsewhere"
            )
        rows, written = np.lib.format.open_memmap(temporary, "w+", np.float32, shape), 0
        for part in _parts(dataset, reward_column, finals, known):
            if not np.isfinite(part).all():
                raise BadInput(f"{dataset.root}: holds a value that is not finite; repair the episode")
            rows[written : written + len(part)] = part
            written += len(part)
            if progress:
                progress(len(part))
        rows.flush()
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(
            f"{path.parent}: the transitions cannot be written ({error.strerror}); set ROBOT_RL_CACHE to a "
            "folder that can"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _parts(
    dataset: Dataset, reward_column: str | None, finals: np.ndarray | None, known: np.ndarray
) -> Iterator[np.ndarray]:
    """Rows in order, so many at a time; a part's last frame waits for the one that follows it."""
    last = np.cumsum(dataset.lengths) - 1  # (E,) the frames that end episodes
    columns = [layout.STATE, layout.ACTION, *([reward_column] if reward_column else [])]
    held: list[np.ndarray] | None = None  # state, action, reward of the frame that waits
    start = 0  # the first frame of what is at hand
    for values in dataset.iter_columns(columns, CHUNK):
        states, actions = values[:2]
        rewards = values[2] if reward_column else np.zeros(len(states), np.float32)
        now = [states, actions, rewards[:, None]]
        if held is not None:
            now = [np.concatenate(pair) for pair in zip(held, now, strict=True)]
        whole = start + len(now[0]) == dataset.info.total_frames
        count = len(now[0]) - (not whole)
        held = [part[count:] for part in now]
        following = np.concatenate([now[0][1:], now[0][-1:]])[:count]
        masks, keep = np.ones((count, 1), np.float32), np.ones(count, bool)
        for e in range(*np.searchsorted(last, [start, start + count])):
            row = last[e] - start
            following[row] = finals[e] if known[e] else now[0][row]
            masks[row] = not dataset.terminated[e]
            keep[row] = known[e] or dataset.terminated[e]
        parts = [following, *(part[:count] for part in now), masks]
        yield np.concatenate(parts, 1)[keep]
        start += count
