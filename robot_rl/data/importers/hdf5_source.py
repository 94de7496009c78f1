"""What sources in one HDF5 file share: opening and closing, our own words, rates, names, units and clocks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_rl.data.importers.hdf5 import Hdf5
from robot_rl.data.importers.source import Options, rate


class Hdf5Source:
    """One HDF5 file, open as a context manager; a subclass reads it in `_load`, which sets `settings`."""

    settings: dict[str, Any]
    default_fps: float  # Hz, where neither the file nor the user says the rate
    rate_name = "the control rate"

    def __init__(self, path: Path, options: Options):
        """Open `path`; BadInput where it is broken or the options do not go with it."""
        self.path, self._options = path, options
        self.notes: list[str] = []
        self._check_options()
        self._file = Hdf5(path)
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Hdf5Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _check_options(self) -> None:
        """Raise BadInput where the options do not go with the format."""

    def _load(self) -> None:
        """Read what all episodes share."""
        raise NotImplementedError

    def _rate(self, told: Any = None, told_by: str = "", where: str = "") -> float:
        """The rate in Hz that the file tells at `where`, the user's, or the default with a note."""
        if told is not None:
            self._options.refuse_rate(self.path, told_by)
            return rate(told, where)
        if self._options.fps is None:
            fps = f"{self.default_fps:g} Hz is assumed (fps)"
            self.notes.append(f"the file does not say {self.rate_name}; {fps}")
        return float(self._options.fps or self.default_fps)


def json_words(text: Any) -> dict[str, Any] | None:
    """A JSON object in an attribute: {} where it is absent or another value, None where it is no JSON."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return None
    return value if isinstance(value, dict) else {}


def names_told(own: Mapping[str, Any], key: str, default: Sequence[str]) -> list[str]:
    """The names that an export of ours wrote, where there are as many as in `default`; else that."""
    names = own.get(key)
    fits = isinstance(names, list) and len(names) == len(default)
    return list(map(str, names)) if fits else list(default)
