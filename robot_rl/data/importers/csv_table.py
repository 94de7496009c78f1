"""Reads the CSV file beside a video clip: columns by name, with errors that name the row."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from robot_rl.data import layout
from robot_rl.errors import BadInput, nearest

KNOWN = ("timestamp", "frame", "reward", "success", "task")
_TRUE = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


class CsvTable:
    """One CSV file with a header; numbers are read when asked for."""

    def __init__(self, path: Path):
        """Read `path`; BadInput where it is no table with a header and equally long rows."""
        self.path = path
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = [row for row in csv.reader(file) if row]
        except (OSError, ValueError, csv.Error) as error:
            raise BadInput(
                f"{path} is not a readable CSV file ({error}); save it as UTF-8 with commas"
            ) from error
        if len(rows) < 3:
            raise BadInput(f"{path} has {max(len(rows) - 1, 0)} rows below its header; it needs at least 2")
        self.columns = [name.strip() for name in rows[0]]
        twice = [name for name in self.columns if self.columns.count(name) > 1]
        if twice:
            raise BadInput(f"{path}: the column '{twice[0]}' is there twice; names must differ")
        self._rows = rows[1:]
        for number, row in enumerate(self._rows, start=2):
            if len(row) != len(self.columns):
                raise BadInput(f"{path}: row {number} has {len(row)} values, the header {len(self.columns)}")

    def __len__(self) -> int:
        return len(self._rows)

    def sorted_columns(self) -> dict[str, list[str]]:
        """Columns of the state, of the action and labels; BadInput for a column that is none of these."""
        kinds = {k: [c for c in self.columns if c.startswith(k + ".")] for k in ("state", "action")}
        rest = [c for c in self.columns if c not in KNOWN and not c.startswith(("state.", "action."))]
        for name in rest:
            layout.check_name(name, f"{self.path}: columns")
            if name in ("state", "action", "actions", "observation"):
                raise BadInput(f"{self.path}: the column '{name}' needs a part, e.g. '{name}.x'")
        return {**kinds, "labels": rest}

    def numbers(self, name: str) -> np.ndarray:
        """A column as (T,) float32; BadInput names the row that is no number."""
        return self._floats(name).astype(np.float32)

    def _floats(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise BadInput(f"{self.path}: has no column '{name}'.{nearest(name, self.columns)}")
        at = self.columns.index(name)
        values = np.empty(len(self._rows))
        for number, row in enumerate(self._rows):
            text = row[at].strip()
            try:
                values[number] = _TRUE.get(text.lower()) if text.lower() in _TRUE else float(text)
            except ValueError as error:
                raise BadInput(
                    f"{self.path}: row {number + 2}: '{name}' is {text!r}; it must be a number"
                ) from error
        return values

    def times(self) -> np.ndarray | None:
        """The column `timestamp` (T,) in seconds, None without it; BadInput where it does not rise."""
        if "timestamp" not in self.columns:
            return None
        times = self._floats("timestamp")
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            row = int(np.flatnonzero(~(np.diff(times) > 0))[0]) + 3 if np.isfinite(times).any() else 2
            raise BadInput(f"{self.path}: row {row}: 'timestamp' must rise from row to row, in seconds")
        return times

    @property
    def stamped(self) -> bool:
        """Whether there is a column that says when each row was."""
        return "timestamp" in self.columns or "frame" in self.columns

    def stamps(self, fps: float) -> np.ndarray:
        """Seconds (T,) of each row: `timestamp`, or the number of its `frame` at `fps` (Hz)."""
        if "timestamp" in self.columns:
            return self.times()
        try:
            return self._floats("frame") / fps
        except BadInput:  # names of pictures, perhaps
            return np.arange(len(self)) / fps

    def first_text(self, name: str) -> str | None:
        """The first value of a column that holds text, None where there is none."""
        if name not in self.columns:
            return None
        at = self.columns.index(name)
        return next((row[at].strip() for row in self._rows if row[at].strip()), None)
