"""Reads the numbers of some episodes of a dataset as signals, with names and units, finite or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.findings.types import Signal
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput


def units_of(metadata: Mapping[str, Any], field: str, parts: int) -> tuple[str, ...]:
    """The units that the metadata gives for a field ("state_units"), "" where it gives none."""
    given = metadata.get(f"{field}_units")
    fits = isinstance(given, (list, tuple)) and len(given) == parts
    return tuple("" if unit is None else str(unit) for unit in given) if fits else ("",) * parts


def read_signals(dataset: Dataset) -> tuple[dict[str, Signal], list[Signal], Signal | None]:
    """Fields by name (state, action, reward, success, others), clocks in seconds, and the step numbers."""
    info = dataset.info
    columns = {"state": (layout.STATE, info.state_names), "action": (layout.ACTION, info.action_names)}
    columns |= {name: (layout.OBSERVATION + name, parts) for name, parts in info.vectors.items()}
    if info.has_rewards:
        columns["reward"] = (layout.REWARD, ("",))
    if info.has_success:
        columns["success"] = (layout.SUCCESS, ("",))
    columns |= {name: (name, ("",)) for name in info.labels}
    fields = {name: _signal(dataset, name, *column) for name, column in columns.items()}
    clocks = [fields.pop(name) for name in list(fields) if layout.is_clock(name)]
    clocks = [clock for clock in clocks if clock.values.shape[1] == 1]
    if "timestamp" in info.features:
        clocks.insert(0, _signal(dataset, "timestamp", "timestamp", ("",)))
    number = None
    if "frame_index" in info.features:
        number = _signal(dataset, "frame_index", "frame_index", ("",))
    return fields, clocks, number


def _signal(dataset: Dataset, field: str, column: str, parts: tuple[str, ...]) -> Signal:
    values = dataset.column(column, finite=False)
    values = values.reshape(len(values), -1)
    if values.shape[1] != len(parts):
        raise BadInput(f"{dataset.root}: column '{column}' has {values.shape[1]} parts, not {len(parts)}")
    units = units_of(dataset.info.metadata, field, len(parts))
    return Signal(field, parts, units, values, dataset.starts, np.arange(len(dataset)))
