"""Reads HDF5 files of others: every failure names file and array, and nothing outside the file is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robot_rl.data.episode import Frames
from robot_rl.data.importers.clocks import units_of
from robot_rl.data.video_write import decode_image
from robot_rl.errors import BadInput, nearest

# What h5py raises for damaged files, depending on which structure is damaged.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, AttributeError)
_DENSEST = 1100  # times that deflate can make bytes fewer
_SMALL = 2**24  # bytes that are read whatever the file says about its packing
_CHUNK_CACHE = 2**25  # bytes of unpacked chunks kept: episodes rarely end where chunks do


class Hdf5:
    """An open HDF5 file whose arrays are read on demand."""

    def __init__(self, path: Path):
        """Open `path`; BadInput where it is no readable HDF5 file."""
        self.path = path
        with self._named("the file"):
            self.file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)

    def __enter__(self) -> Hdf5:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BadInput(f"{self.path}: {what} cannot be read ({reason}); fetch the file again") from error

    def keys(self, group: str = "/") -> list[str]:
        """The names in a group, in order of their names; none where there is no such group."""
        with self._named(f"'{group}'"):
            found = self._item(group)
            return sorted(found) if isinstance(found, h5py.Group) else []

    def arrays(self, group: str = "/") -> list[str]:
        """Paths of all arrays below a group, subgroups included."""
        found, todo, seen = [], [group.strip("/")], set()
        while todo:
            here = todo.pop(0)
            with self._named(f"'{here}'"):
                address = h5py.h5o.get_info(self._item(here).id).addr if self.has(here) else None
            if address in seen:  # links can form a circle
                continue
            seen.add(address)
            for key in self.keys(here or "/"):
                path = f"{here}/{key}".strip("/")
                (found if self.is_array(path) else todo).append(path)
        return sorted(found)

    def has(self, key: str) -> bool:
        """Whether there is an array or group of that path."""
        with self._named(f"'{key}'"):
            return self._item(key) is not None

    def is_array(self, key: str) -> bool:
        """Whether `key` is an array."""
        with self._named(f"'{key}'"):
            return isinstance(self._item(key), h5py.Dataset)

    def _item(self, key: str) -> Any:
        """The object at a path whose every step lies in this file."""
        here = self.file
        for name in [n for n in key.split("/") if n]:
            if not isinstance(here, h5py.Group) or name not in here:
                return None
            if isinstance(here.get(name, getlink=True), h5py.ExternalLink):
                raise BadInput(f"{self.path}: '{key}' leads into another file; only what lies inside is read")
            here = here[name]
        return here

    def array(self, key: str) -> h5py.Dataset:
        """The array at `key`, unread; BadInput where there is none or its values lie in other files."""
        with self._named(f"'{key}'"):
            found = self._item(key)
            if not isinstance(found, h5py.Dataset):
                parent = key.rsplit("/", 1)[0] if "/" in key else "/"
                raise BadInput(f"{self.path}: has no array '{key}'.{nearest(key, self.keys(parent))}")
            if found.external is not None or found.is_virtual:
                raise BadInput(f"{self.path}: '{key}' lies in other files; only what is inside is read")
            self._check_size(found, key)
            return found

    def _check_size(self, array: h5py.Dataset, key: str) -> None:
        """Refuse an array that says it is far larger than what is stored of it could be."""
        size = int(np.prod(array.shape or (1,), dtype=object)) * array.dtype.itemsize
        if size > max(_SMALL, _DENSEST * array.id.get_storage_size()):
            raise BadInput(
                f"{self.path}: '{key}' has the shape {array.shape}, {size / 2**30:.1f} GiB, but only "
                f"{array.id.get_storage_size()} bytes are stored; the file is damaged, fetch it again"
            )

    def numbers(self, key: str, rows: slice | None = None) -> np.ndarray:
        """Some rows (default all) of an array of numbers, as stored; BadInput for anything else."""
        array = self.array(key)
        if array.dtype.kind not in "fiub":
            raise BadInput(f"{self.path}: '{key}' has the dtype {array.dtype}; it must hold numbers")
        if array.ndim < 1:
            raise BadInput(f"{self.path}: '{key}' is a single value; it needs an axis of time")
        with self._named(f"'{key}'"):
            return array[:] if rows is None else array[rows]

    def flag(self, key: str) -> bool:
        """An array that holds one truth value."""
        array = self.array(key)
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise BadInput(f"{self.path}: '{key}' is {array.dtype} {array.shape}; it must be one truth value")
        with self._named(f"'{key}'"):
            return bool(np.asarray(array[()]).reshape(-1)[0])

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of an array."""
        return tuple(self.array(key).shape or ())

    def is_series(self, key: str) -> bool:
        """Whether there is an array (T,) of numbers at `key`."""
        return self.is_array(key) and self.array(key).ndim == 1 and self.array(key).dtype.kind in "fiu"

    def is_picture(self, key: str) -> bool:
        """Whether an array is (T, H, W, 3) uint8 RGB."""
        array = self.array(key)
        return array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] == 3 and array.size > 0

    def attributes(self, key: str, names: Sequence[str]) -> dict[str, Any]:
        """Those of `names` that a group has as attributes, bytes as text and numpy values as plain ones."""
        with self._named(f"attributes of '{key}'"):
            found = self._item(key)
            held = () if found is None else [name for name in names if name in found.attrs]
            return {name: _plain(found.attrs[name]) for name in held}

    def units(self, key: str, size: int) -> list[str]:
        """The units of an array's `size` numbers, as its attribute `units` or `unit` has them; "" else."""
        told = self.attributes(key, ("units", "unit"))
        return units_of(told.get("units") or told.get("unit"), size)

    def has_attribute(self, key: str, name: str) -> bool:
        """Whether a group has an attribute, without reading it."""
        with self._named(f"attributes of '{key}'"):
            found = self._item(key)
            return found is not None and name in found.attrs


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        return [_plain(item) for item in value.ravel().tolist()]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


class Hdf5Frames(Frames):
    """Pictures of one episode in an HDF5 array (T, H, W, 3) uint8, read when asked for."""

    def __init__(self, file: Hdf5, key: str, rows: slice):
        self._file, self._key, self._start = file, key, rows.start
        self.shape = (rows.stop - rows.start, *file.shape(key)[1:])

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the pictures at `indices` (n,)."""
        if not len(indices):
            return np.empty((0, *self.shape[1:]), np.uint8)
        first, last = int(indices.min()), int(indices.max())
        if last - first < 4 * len(indices):
            rows = slice(self._start + first, self._start + last + 1)
            return self._file.numbers(self._key, rows)[indices - first]
        return np.stack([self._one(int(i)) for i in indices])

    def _one(self, index: int) -> np.ndarray:
        return self._file.numbers(self._key, slice(self._start + index, self._start + index + 1))[0]


class EncodedFrames(Frames):
    """JPEG or PNG pictures of one episode, held encoded and decoded when read."""

    def __init__(self, values: list[bytes], size: tuple[int, int], where: str):
        self._values, self._where = values, where
        self.shape = (len(values), *size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Decode the pictures at `indices` (n,)."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for row, index in enumerate(indices):
            image = decode_image(self._values[index], f"{self._where}: frame {index}")
            if image.shape != self.shape[1:]:
                raise BadInput(f"{self._where}: frame {index} is {image.shape}, others are {self.shape[1:]}")
            out[row] = image
        return out
