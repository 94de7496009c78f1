"""All pictures of one camera in one uncompressed file, memory-mapped: a random batch is one gather.

Videos are made to be read in order; learning from pictures draws them in any order, thousands of times.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.specs.paths import cache_dir

Resize = Callable[[np.ndarray, int], np.ndarray]
_BATCH = 256  # frames decoded at once


def picture_array(
    dataset: Dataset,
    camera: str,
    size: int,
    resize: Resize,
    progress: Callable[[int], object] | None = None,
) -> np.ndarray:
    """(N + E, size, size, 3) uint8, read-only: all frames, then each episode's picture after its last action.

    The latter are zeros where unknown. `resize(pictures, size)` brings them to `size`. The file is written
    once, to the cache folder. Raises BadInput where it cannot be written.
    """
    named = json.dumps([dataset.content_hash, camera, size])
    path = cache_dir() / "pictures" / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.npy"
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(temporary, dataset, camera, size, resize, progress)
            os.replace(temporary, path)
        except OSError as error:
            raise BadInput(
                f"{path.parent}: the pictures cannot be written ({error.strerror}); free some space, or set "
                "ROBOT_RL_CACHE to a folder elsewhere"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _write(
    path: os.PathLike,
    dataset: Dataset,
    camera: str,
    size: int,
    resize: Resize,
    progress: Callable[[int], object] | None,
) -> None:
    """Fill the file in the order of the frames."""
    frames = dataset.info.total_frames
    shape = (frames + len(dataset), size, size, 3)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    for start, pictures in dataset.iter_frames(camera, _BATCH):
        array[start : start + len(pictures)] = resize(pictures, size)
        if progress:
            progress(len(pictures))
    for row, picture in enumerate(dataset.final_pictures(camera)):
        if picture is not None:
            array[frames + row] = resize(picture[None], size)[0]
    array.flush()
