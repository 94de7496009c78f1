"""A new HDF5 file on a disk that may become full: HDF5 itself crashes the process where it cannot write."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

Progress = Callable[[int, int], None]


@contextmanager
def new_hdf5(path: Path, progress: Progress, **options: Any) -> Iterator[tuple[h5py.File, Progress]]:
    """A new HDF5 file at `path`, and `progress` to call between episodes.

    Where the disk refuses to take it, the next call of that, or the end, raises the disk's OSError.
    """
    with _Forgiving(path, "w+b") as raw:

        def told(done: int, total: int) -> None:
            raw.check()
            progress(done, total)

        with h5py.File(raw, "w", **options) as file:
            yield file, told
        raw.check()


class _Forgiving(io.FileIO):
    """A file that seems to take everything, also what the disk refuses, and says so when asked."""

    _refusal: OSError | None = None

    def check(self) -> None:
        """Raise what the disk said when it first refused."""
        if self._refusal is not None:
            raise self._refusal

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        view = memoryview(data).cast("B")
        try:
            done = len(view) if self._refusal else 0
            while done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self._refusal = error
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read what was written; zeros stand for what was not."""
        view = memoryview(buffer).cast("B")
        done = super().readinto(view)
        view[done:] = bytes(len(view) - done)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Give the file a size."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._refusal = self._refusal or error
            return size or 0
