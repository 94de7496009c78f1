"""Makes a new version of a dataset with new or replaced columns; the source stays, videos are linked."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_rl.data import layout
from robot_rl.data.checksums import read_checksums, write_checksums
from robot_rl.data.consolidate import total_stats
from robot_rl.data.disk import disk_trouble
from robot_rl.data.extras import DatasetExtra, write_dataset_extra
from robot_rl.data.stats import column_stats
from robot_rl.data.store import Dataset
from robot_rl.data.tables import column_names, parquet_writer, read_table, to_arrow, write_table
from robot_rl.errors import BadInput


def relabel(
    dataset: Dataset,
    path: str | Path,
    columns: Mapping[str, np.ndarray],
    *,
    replace_rewards: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Dataset:
    """Write `dataset` with `columns` added or replaced, (N,) float32 each (next.success: bool), to `path`.

    With `replace_rewards=False` a "next.reward" that the source has may not be replaced. `provenance` and
    the source's content hash are kept in the new version's meta/robot_rl.json. Raises BadInput for columns
    that do not fit and for a `path` that is in use.
    """
    target = Path(os.path.abspath(path))
    layout.check_target(target)
    checked = {name: _check_column(dataset, name, values) for name, values in columns.items()}
    if not replace_rewards and layout.REWARD in checked and dataset.info.has_rewards:
        raise BadInput(
            f"{dataset.root} has rewards already; allow replacing them or give another column name"
        )
    with disk_trouble(target):
        building = layout.building_folder(target)
        try:
            building.mkdir(parents=True)
            linked = _write_version(dataset, building, checked, dict(provenance or {}))
            write_checksums(building, {k: v for k, v in read_checksums(dataset.root).items() if k in linked})
            layout.sync_tree(building)
            os.rename(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        layout.sync(target.parent)
    return Dataset.open(target)


def _check_column(dataset: Dataset, name: str, values: np.ndarray) -> np.ndarray:
    layout.check_name(name, "columns")
    fixed = {layout.ACTION, layout.DONE, *layout.BOOKKEEPING}
    if name in fixed or name.startswith(layout.OBSERVATION):
        raise BadInput(
            f"columns: '{name}' is what the robot did or saw; only labels and rewards can be replaced"
        )
    dtype = np.bool_ if name == layout.SUCCESS else np.float32
    values = np.asarray(values)
    if values.shape != (dataset.info.total_frames,) or values.dtype != dtype:
        raise BadInput(
            f"columns: '{name}' is {values.dtype} {values.shape}; "
            f"it must be {np.dtype(dtype)} ({dataset.info.total_frames},), one number a frame"
        )
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise BadInput(
            f"columns: '{name}' holds {values[first]} at frame {first}; every value must be finite"
        )
    return values


def _write_version(
    dataset: Dataset, root: Path, columns: Mapping[str, np.ndarray], provenance: dict[str, Any]
) -> set[str]:
    """Fill the folder `root`; returns the relative paths of linked files."""
    _write_data(dataset, root, columns)
    linked = set()
    for source in sorted({path for name in dataset.info.cameras for path in dataset.camera(name).files()}):
        relative = source.relative_to(dataset.root)
        link(source, root / relative)
        linked.add(relative.as_posix())
    _write_episodes(dataset, root, columns)
    for name in (layout.TASKS, layout.OWN_TABLE):
        if (dataset.root / name).exists():
            shutil.copyfile(dataset.root / name, root / name)
    record = {
        "source_hash": dataset.content_hash,
        "columns": list(columns),
        **provenance,
        "source_provenance": dataset.info.provenance,
    }
    write_dataset_extra(DatasetExtra(dataset.info.metadata, record), root / layout.OWN_JSON)
    features = dict(dataset.raw["features"])
    for name in columns:
        features[name] = layout.scalar_feature("bool" if name == layout.SUCCESS else "float32")
    layout.write_json({**dataset.raw, "features": features}, root / layout.INFO)
    return linked


def _write_data(dataset: Dataset, root: Path, columns: Mapping[str, np.ndarray]) -> None:
    for path in dataset.data_files:
        target = root / path.relative_to(dataset.root)
        with contextlib.ExitStack() as stack:
            writer = None
            for table in row_groups(path):
                table = _with_columns(dataset, table, columns)
                if writer is None:
                    writer = stack.enter_context(parquet_writer(target, table.schema))
                writer.write_table(table)


def row_groups(path: Path) -> Iterator[pa.Table]:
    """Read a data file part by part, as it was written; a file without rows is one empty part.

    The memory it takes is that of one part (some episodes in our files), whatever the file's size.
    """
    column_names(path)  # says what is wrong with a file that does not open
    try:
        with pq.ParquetFile(path) as file:
            if not file.num_row_groups:
                yield file.schema_arrow.empty_table()
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path} is damaged ({reason}); fetch or import the dataset again") from error


def _with_columns(dataset: Dataset, table: pa.Table, columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Add or replace columns in some rows of the dataset."""
    # Rows need not lie in the order of their frames; positions in the sorted index find each row's frame.
    frames = np.searchsorted(dataset.column("index"), table.column("index").to_numpy())
    for name, values in columns.items():
        column = to_arrow(values[frames])
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, column)
        else:
            table = table.append_column(name, column)
    # Metadata that other libraries keep in the schema describes the columns before the change.
    return table.replace_schema_metadata(None)


def _write_episodes(dataset: Dataset, root: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Copy meta/episodes with statistics of the new columns, and update meta/stats.json."""
    parts = []
    for path in sorted((dataset.root / "meta/episodes").glob("*/*.parquet")):
        table = read_table(path)
        rows = [_stats_row(dataset, columns, index) for index in table.column("episode_index").to_pylist()]
        parts += rows
        for name in rows[0] if rows else ():
            column = pa.array([row[name].tolist() for row in rows])
            if name in table.column_names:
                table = table.drop_columns([name])
            table = table.append_column(name, column)
        write_table(table.replace_schema_metadata(None), root / path.relative_to(dataset.root))
    old = dataset.root / layout.STATS
    stats = layout.read_json(old) if old.exists() else {}
    layout.write_json({**stats, **(total_stats(parts) if columns else {})}, root / layout.STATS)


def _stats_row(dataset: Dataset, columns: Mapping[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    rows = slice(dataset.starts[index], dataset.starts[index] + dataset.lengths[index])
    return {
        f"stats/{name}/{key}": value
        for name, values in columns.items()
        for key, value in column_stats(values[rows]).items()
    }


def link(source: Path, target: Path) -> None:
    """Give `source` a second name; where the file system cannot, make a symbolic link, or else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for way in (os.link, os.symlink):
        try:
            way(os.path.realpath(source), target)
            return
        except OSError:
            continue
    shutil.copyfile(source, target)
