"""What LeRobot v3 has no place for: terminations, final observations, metadata and provenance.

It lies in meta/robot_rl.json (dataset) and meta/robot_rl.parquet (one row an episode); a dataset without
them opens all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode
from robot_rl.data.tables import column_names, read_table, to_python
from robot_rl.data.video_write import decode_image, encode_png
from robot_rl.errors import BadInput

FINAL = "final."


@dataclass(frozen=True)
class EpisodeExtra:
    """One episode's part of meta/robot_rl.parquet."""

    terminated: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    final_observation: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class DatasetExtra:
    """The contents of meta/robot_rl.json."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] | None = None


def extra_row(episode: Episode) -> pa.Table:
    """The episode's row: terminated, metadata as JSON, and final observations, images as PNG."""
    return extra_table([episode])


def extra_table(episodes: Sequence[Episode]) -> pa.Table:
    """A row for each of some episodes that have the same observations."""
    columns = {
        "terminated": pa.array([bool(episode.terminated) for episode in episodes]),
        "metadata": pa.array([layout.to_json(dict(episode.metadata)) for episode in episodes]),
    }
    for key in episodes[0].observations:
        values = [(episode.final_observation or {}).get(key) for episode in episodes]
        if key.startswith(IMAGE):
            data = [None if value is None else encode_png(np.asarray(value)) for value in values]
            columns[FINAL + key] = pa.array(data, pa.binary())
        else:
            data = [None if value is None else np.asarray(value).tolist() for value in values]
            columns[FINAL + key] = pa.array(data, pa.list_(pa.float32()))
    return pa.table(columns)


def read_extras(path: Path, episodes: int) -> list[EpisodeExtra]:
    """Read all rows of meta/robot_rl.parquet; defaults where the file is absent."""
    if not path.exists():
        return [EpisodeExtra()] * episodes
    rows = to_python(read_table(path), path)
    if len(rows) != episodes:
        raise BadInput(
            f"{path} has {len(rows)} rows, but the dataset has {episodes} episodes; write it again"
        )
    return [_extra(row, f"{path}: episode {i}") for i, row in enumerate(rows)]


def read_endings(path: Path, episodes: int, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Which episodes terminated (E,) bool, and the states (E, size) float32 after their last actions.

    Rows of NaN where unknown, None where all are. As columns, without the rest of the rows: with thousands
    of episodes that takes a fraction of the time.
    """
    if not path.exists():
        return np.zeros(episodes, bool), None
    names = ("terminated", FINAL + "state")
    table = read_table(path, [name for name in names if name in column_names(path)])
    if len(table) != episodes or "terminated" not in table.column_names:
        read_extras(path, episodes)  # says what is wrong
    terminated = np.array(table.column("terminated").to_numpy(), bool)
    if FINAL + "state" not in table.column_names:
        return terminated, None
    column = table.column(FINAL + "state").combine_chunks()
    known = column.is_valid().to_numpy(zero_copy_only=False)
    if not known.any():
        return terminated, None
    finals, values = np.full((episodes, size), np.nan, np.float32), column.drop_null().flatten()
    if len(values) != known.sum() * size:
        raise BadInput(
            f"{path}: final.state has {len(values)} numbers in {known.sum()} rows, not {size} each"
        )
    finals[known] = values.to_numpy(zero_copy_only=False).reshape(-1, size)
    return terminated, finals


def _extra(row: Mapping[str, Any], where: str) -> EpisodeExtra:
    try:
        final = {
            key.removeprefix(FINAL): _final(value, f"{where}: {key}")
            for key, value in row.items()
            if key.startswith(FINAL) and value is not None
        }
        return EpisodeExtra(bool(row["terminated"]), json.loads(row["metadata"]), final or None)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{where} cannot be read ({error!r}); it was not written by robot-rl") from error


def _final(value: bytes | list[float], where: str) -> np.ndarray:
    return decode_image(value, where) if isinstance(value, bytes) else np.array(value, np.float32)


def read_dataset_extra(path: Path) -> DatasetExtra:
    """Read meta/robot_rl.json; defaults where absent, BadInput where written by a newer version."""
    if not path.exists():
        return DatasetExtra()
    own = layout.read_json(path)
    layout.check_own_version(own, path)
    return DatasetExtra(own.get("metadata") or {}, own.get("provenance"))


def write_dataset_extra(extra: DatasetExtra, path: Path) -> None:
    """Write meta/robot_rl.json."""
    layout.write_json(
        {
            "format_version": layout.FORMAT_VERSION,
            "metadata": dict(extra.metadata),
            "provenance": extra.provenance,
        },
        path,
    )
