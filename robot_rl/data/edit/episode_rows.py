"""The rows about episodes (meta/episodes, our extras) and the statistics of episodes taken from a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.consolidate import total_stats
from robot_rl.data.stats import column_stats, merge_stats
from robot_rl.data.store import Dataset
from robot_rl.data.tables import read_table

_PARTS = ("min", "max", "mean", "std", "count")


def episode_rows(dataset: Dataset, chosen: np.ndarray, first: int, start: int) -> list[dict[str, Any]]:
    """Rows of meta/episodes of the `chosen` episodes with new numbers; places of files follow later."""
    paths = sorted((dataset.root / "meta/episodes").glob("*/*.parquet"))
    table = pa.concat_tables([read_table(path) for path in paths], promote_options="default")
    table = table.take(np.argsort(table.column("episode_index").to_numpy(), kind="stable")[chosen])
    rows = table.to_pylist()
    for number, row in enumerate(rows, first):
        stop = start + row["length"]
        row |= {"episode_index": number, "dataset_from_index": start, "dataset_to_index": stop}
        row |= {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        fresh = {"index": np.arange(start, stop), "episode_index": np.full(row["length"], number)}
        for name, values in fresh.items():
            stats = column_stats(values)
            row |= {f"stats/{name}/{k}": v.tolist() for k, v in stats.items() if f"stats/{name}/{k}" in row}
        start = stop
    return rows


def stats_of(
    parts: Sequence[tuple[Dataset, np.ndarray]], rows: Sequence[dict[str, Any]], without: Sequence[str] = ()
) -> dict[str, Any]:
    """meta/stats.json: from the rows where all have statistics of a column, else from its numbers."""
    names = {key.split("/")[1] for row in rows for key in row if key.startswith("stats/")}
    whole = [n for n in names if all(row.get(f"stats/{n}/{p}") is not None for row in rows for p in _PARTS)]
    keep = [{k: v for k, v in row.items() if k.split("/")[1:2] and k.split("/")[1] in whole} for row in rows]
    found = dict(total_stats(keep)) if whole else {}
    for name, feature in parts[0][0].info.features.items():
        if (
            name not in found
            and name not in without
            and feature.get("dtype") not in ("video", "image", "string")
        ):
            found[name] = merge_stats([_column(dataset, name, chosen) for dataset, chosen in parts])
    return found


def _column(dataset: Dataset, name: str, chosen: np.ndarray) -> dict[str, np.ndarray]:
    values = dataset.column(name, finite=False)
    return column_stats(values[np.isin(dataset.episode_index, chosen)])


def extra_rows(parts: Sequence[tuple[Dataset, np.ndarray]]) -> pa.Table | None:
    """meta/robot_rl.parquet of the chosen episodes, None where no source has one."""
    tables, any_there = [], False
    for dataset, chosen in parts:
        path = dataset.root / layout.OWN_TABLE
        if path.exists():
            any_there = True
            tables.append(read_table(path).take(chosen))
        else:
            blank = {
                "terminated": pa.array([False] * len(chosen)),
                "metadata": pa.array(["{}"] * len(chosen)),
            }
            tables.append(pa.table({"episode_index": pa.array(chosen), **blank}))
    if not any_there:
        return None
    table = pa.concat_tables(tables, promote_options="default")
    numbers = pa.array(np.arange(len(table)))
    if "episode_index" not in table.column_names:
        return table.add_column(0, "episode_index", numbers)
    return table.set_column(table.column_names.index("episode_index"), "episode_index", numbers)
