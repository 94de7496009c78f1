"""Embeds every frame of a dataset once and keeps the vectors in the cache folder.

Each shard is a file as soon as it is made, so that a killed run goes on where it stopped; all of them
together become the entry, which is read through a memory map.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import mmap
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.specs.paths import cache_dir
from robot_rl.vision.encoder import ImageTextEncoder
from robot_rl.vision.shards import Shard, Work, cut, embed_shards

_TRIES = 3  # another process may finish the same entry, and remove the shards, while this one works on it
Parts = Iterator[np.ndarray] | Sequence[np.ndarray]
_DAMAGE = (ValueError, EOFError, OSError)  # what numpy raises for a file that is not a whole array


def embed_dataset(
    dataset: Dataset,
    camera: str,
    encoder: ImageTextEncoder,
    progress: Callable[[int], object] | None = None,
    work: Work = embed_shards,
) -> np.ndarray:
    """Return (N, D) float32 vectors of a camera's frames, from the cache as far as they are there.

    They are a read-only memory map, so what is in memory does not grow with the dataset. `work` embeds
    the shards that are missing. Raises BadInput where the cache folder is full or cannot be written.
    """
    path, shards = _path(dataset, camera, encoder), cut(dataset)
    for attempt in range(_TRIES):
        vectors = _opened(path, dataset.info.total_frames)
        if vectors is not None:
            if progress and attempt == 0:
                progress(len(vectors))
            shutil.rmtree(_folder(path), ignore_errors=True)
            return vectors
        try:
            with _explained(path.parent):
                missing = [shard for shard in shards if _read(path, shard) is None]
                if progress and attempt == 0 and len(missing) < len(shards):
                    progress(dataset.info.total_frames - sum(map(len, missing)))
                for shard, made in work(dataset, camera, encoder, missing, progress):
                    _write(_shard_path(path, shard), _folder(path), [made], made.shape)
                _join(path, shards)
        except FileNotFoundError:
            continue
    raise BadInput(f"{path}: its shards vanish while it is made; let one process at a time clear the cache")


def release(vectors: np.ndarray) -> None:
    """Take what was read of a memory map out of this process's memory; it is read again when used."""
    pages = vectors.base
    if isinstance(pages, mmap.mmap):
        pages.madvise(mmap.MADV_DONTNEED)


def _opened(path: Path, frames: int) -> np.ndarray | None:
    """Map a whole entry; None where there is none or it is damaged."""
    with contextlib.suppress(*_DAMAGE):
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        if vectors.ndim == 2 and len(vectors) == frames and vectors.dtype == np.float32:
            return vectors
    return None


def _read(path: Path, shard: Shard) -> np.ndarray | None:
    """Map one shard's vectors; None where they are not there or damaged."""
    return _opened(_shard_path(path, shard), len(shard))


def _join(path: Path, shards: Sequence[Shard]) -> None:
    """Make the entry of all shards and remove them; FileNotFoundError where one is not there any more."""

    def parts() -> Iterator[np.ndarray]:
        for shard in shards:
            part = _read(path, shard)
            if part is None:
                raise FileNotFoundError(_shard_path(path, shard))
            yield part

    _write(path, _folder(path), parts(), (shards[-1].stop, next(parts()).shape[1]))
    shutil.rmtree(_folder(path), ignore_errors=True)


def _write(path: Path, folder: Path, parts: Parts, shape: tuple[int, ...]) -> None:
    """Write arrays, one below the other, as one .npy that is there whole or not at all.

    What a kill leaves lies in `folder`, which is removed with the shards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"
    try:
        with temporary.open("wb") as file:
            _fill(file, parts, shape)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _fill(file: BinaryIO, parts: Parts, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**header, "shape": tuple(shape)})
    for part in parts:
        file.write(np.ascontiguousarray(part, np.float32).data)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn a full or protected disk into one line; shards that are whole stay."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise BadInput(
                f"{folder}: no space for the vectors ({error.strerror}); free some, or set ROBOT_RL_CACHE to "
                "a folder elsewhere; the same command goes on where it stopped"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise BadInput(
                f"{folder}: cannot be written ({error.strerror}); set ROBOT_RL_CACHE to a folder that can"
            ) from error
        raise


def _folder(path: Path) -> Path:
    return path.with_suffix(".parts")


def _shard_path(path: Path, shard: Shard) -> Path:
    return _folder(path) / f"{shard.start}-{shard.stop}.npy"


def _path(dataset: Dataset, camera: str, encoder: ImageTextEncoder) -> Path:
    identity = {name: encoder.identity[name] for name in ("kind", "model", "weights")}
    content = json.dumps([dataset.content_hash, camera, identity, encoder.size], sort_keys=True)
    return cache_dir() / "embeddings" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"
