"""Cuts a dataset's frames into shards and embeds them: the next pictures are decoded meanwhile.

`vision.cache` keeps what comes out; elsewhere whoever else is to do the work follows `Work`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.vision.encoder import ImageTextEncoder

SHARD = 4096  # frames; what a kill may cost of work, and what is held as vectors at a time
_BATCH = 512  # frames decoded at once, of small pictures
_BATCH_BYTES = 2**26  # and of large ones; two batches are held at a time

Item = TypeVar("Item")
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Shard:
    """Global frame indices start <= i < stop, embedded in batches that begin at `start`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


# (dataset, camera, encoder, shards, progress) -> each shard with its vectors (n, D), in any order
Work = Callable[
    [Dataset, str, ImageTextEncoder, Sequence[Shard], Progress | None], Iterator[tuple[Shard, np.ndarray]]
]


def cut(dataset: Dataset, size: int = SHARD) -> tuple[Shard, ...]:
    """Cut all frames into shards of whole episodes and at least `size` frames, but for the last.

    Episodes that would make a shard longer than 2 * `size` are cut themselves. Who embeds the shards does
    not change a bit of the vectors, since the batches within them are the same.
    """
    total, edges = dataset.info.total_frames, [0]
    ends = np.append(dataset.starts[1:], total)
    while edges[-1] < total:
        later = ends[np.searchsorted(ends, edges[-1] + size) :]
        end = int(later[0]) if len(later) else total
        edges.append(min(end, edges[-1] + 2 * size))
    return tuple(Shard(a, b) for a, b in zip(edges, edges[1:], strict=False))


def embed_shards(
    dataset: Dataset,
    camera: str,
    encoder: ImageTextEncoder,
    shards: Sequence[Shard],
    progress: Progress | None = None,
) -> Iterator[tuple[Shard, np.ndarray]]:
    """Yield each shard with its vectors (n, D) float32; memory does not depend on how many there are."""
    parts: list[np.ndarray] = []
    for shard, is_last, frames in read_ahead(_batches(dataset, camera, shards)):
        parts.append(encoder.images(frames))
        if progress:
            progress(len(frames))
        if is_last:
            yield shard, np.concatenate(parts)
            parts = []


def _batches(
    dataset: Dataset, camera: str, shards: Sequence[Shard]
) -> Iterator[tuple[Shard, bool, np.ndarray]]:
    """Yield (shard, whether this is its last batch, pictures (n, H, W, 3) uint8)."""
    height, width = dataset.info.cameras[camera]
    batch = max(1, min(_BATCH, _BATCH_BYTES // (height * width * 3)))
    for shard in shards:
        for start in range(shard.start, shard.stop, batch):
            stop = min(start + batch, shard.stop)
            yield shard, stop == shard.stop, dataset.frames(camera, np.arange(start, stop))


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items (never None); while one is worked on, a thread makes the next."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item
