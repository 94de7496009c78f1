"""Time stamps of a source as a column, so that jumps and gaps in the source can be found; and its units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SOURCE_TIME = "source.timestamp"  # label: seconds from the episode's first step, as the source has them
_LARGE = 1000.0  # s from which float32 no longer holds a tenth of a millisecond
_TICKS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # whole numbers as large as the time since 1970


def seconds(values: np.ndarray) -> np.ndarray:
    """Time stamps (T,) as float32 seconds; from the first one on where they count from long before.

    Whole numbers as large as nanoseconds, microseconds or milliseconds since 1970 are taken as such. What is
    not finite repeats the stamp before it, as a clock that stands still.
    """
    raw = np.asarray(values).reshape(-1)
    times = raw.astype(np.float64)
    if not len(times):
        return times.astype(np.float32)
    first = raw[int(np.argmax(np.isfinite(times)))]
    if raw.dtype.kind in "iu":
        scale = next((scale for least, scale in _TICKS if abs(float(first)) >= least), 1.0)
        # Differences of whole numbers are exact; 2**53 ns are 104 days.
        times = (raw.astype(np.int64) - np.int64(first)).astype(np.float64) * scale
        times += 0.0 if scale != 1 or abs(float(first)) > _LARGE else float(first)
    elif np.abs(times[np.isfinite(times)]).max(initial=0) > _LARGE:
        times = times - float(first)
    with np.errstate(over="ignore", invalid="ignore"):
        times = times.astype(np.float32)
    good = np.maximum.accumulate(np.where(np.isfinite(times), np.arange(len(times)), -1))
    return np.where(good >= 0, times[good], np.float32(0)).astype(np.float32)


def unit_words(told: Mapping[str, Any], state: int, action: int) -> dict[str, list[str]]:
    """state_units and action_units of a source's words, where there is one for each number of the dataset."""
    sizes = {"state_units": state, "action_units": action}
    found = {name: told.get(name) for name in sizes}
    return {
        name: [str(unit or "") for unit in units]
        for name, units in found.items()
        if isinstance(units, list | tuple) and len(units) == sizes[name] and any(units)
    }


def units_of(value: Any, size: int) -> list[str]:
    """A unit for each of `size` numbers: of one text, or of a list of as many; empty ones otherwise."""
    if isinstance(value, str):
        return [value.strip()] * size
    if isinstance(value, list | tuple) and len(value) == size:
        return [str(unit or "").strip() for unit in value]
    return [""] * size
