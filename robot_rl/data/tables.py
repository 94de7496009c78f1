"""Moves columns between numpy and Parquet, with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_rl.errors import BadInput, nearest

_MANY = 100_000  # rows; a shorter table is read before threads have begun


def to_arrow(values: np.ndarray) -> pa.Array:
    """A (T,) or (T, K) array as an Arrow column; vectors of one part become plain numbers, as in LeRobot."""
    if values.ndim == 1 or values.shape[1] == 1:
        return pa.array(values.reshape(-1))
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def to_numpy(column: pa.ChunkedArray, where: str) -> np.ndarray:
    """An Arrow column of numbers or equally long lists of them as (T,) or (T, K); BadInput names `where`."""
    return join(numpy_parts(column, where), where)


def numpy_parts(column: pa.ChunkedArray, where: str) -> list[np.ndarray]:
    """The chunks of a column as `to_numpy` gives them, most of them without a copy."""
    if column.null_count:
        raise BadInput(f"{where} has {column.null_count} empty values; every row needs one")
    chunks = column.chunks or [pa.array([], column.type)]
    return [_chunk_to_numpy(chunk, where) for chunk in chunks if len(chunk) or len(chunks) == 1]


def join(parts: Sequence[np.ndarray], where: str) -> np.ndarray:
    """One array of parts whose rows have equally many numbers; BadInput where they do not."""
    widths = {part.shape[1:] for part in parts if len(part)}
    if len(widths) > 1:
        raise BadInput(f"{where} has rows of {sorted(widths)} numbers; all rows need equally many")
    filled = [part for part in parts if len(part)] or list(parts[:1])
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def _chunk_to_numpy(array: pa.Array, where: str) -> np.ndarray:
    rows, kind = len(array), array.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if not pa.types.is_fixed_size_list(kind) and rows:
            sizes = np.diff(array.offsets.to_numpy())
            if (sizes != sizes[0]).any():
                row = int(np.flatnonzero(sizes != sizes[0])[0])
                raise BadInput(
                    f"{where} has {sizes[row]} values in row {row} but {sizes[0]} in row 0; "
                    "all rows need equally many"
                )
        inner = array.flatten()
        if inner.null_count:
            raise BadInput(f"{where} has {inner.null_count} empty values; every row needs one")
        values = _chunk_to_numpy(inner, where)
        return values.reshape(rows, values.size // rows if rows else 0)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise BadInput(f"{where} has the type {kind}; it must hold numbers or lists of numbers")
    return array.to_numpy(zero_copy_only=False)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; the dataset is incomplete, fetch or import it again") from error
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"{path} is not a readable Parquet file ({reason}); fetch or import it again"
        ) from error


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read (some columns of) a Parquet file; BadInput if it is missing, truncated or lacks a column."""
    with _opened(path) as file:
        known = file.schema_arrow.names
        for name in columns or ():
            if name not in known:
                raise BadInput(f"{path}: has no column '{name}'.{nearest(name, known)}")
        _check_names(file.schema_arrow)
        threads = file.metadata.num_rows > _MANY
        chosen = None if columns is None else list(columns)
        if not file.metadata.num_rows or columns is None:
            table = file.read(columns=chosen, use_threads=threads)
        else:  # `read` would copy what it has read into one piece a column, which takes as long again
            table = pa.Table.from_batches(file.iter_batches(_MANY, columns=chosen, use_threads=threads))
        # A request for "reward" also matches "reward.mean", hence the selection by name.
        return table if columns is None else table.select(list(columns))


def to_python(values: pa.Table | pa.ChunkedArray, where: object) -> list[Any]:
    """The rows of a small table as dicts, or a column's values; BadInput where a text is no UTF-8."""
    try:
        return values.to_pylist()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{where} holds a text that is not UTF-8 ({error}); fetch or import it again"
        ) from error


def read_rows(path: Path, columns: Sequence[str], rows: np.ndarray) -> pa.Table:
    """Read some columns at `rows` (n,) int64 of a Parquet file, touching only the row groups of them."""
    with _opened(path) as file:
        known = file.schema_arrow.names
        for name in columns:
            if name not in known:
                raise BadInput(f"{path}: has no column '{name}'.{nearest(name, known)}")
        counts = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        groups = np.unique(np.searchsorted(starts, rows, "right") - 1)
        table = file.read_row_groups(groups.tolist(), list(columns), use_threads=False)
        before = np.zeros(len(starts), np.int64)  # rows of chosen groups before each group
        before[groups] = np.cumsum([0, *(counts[g] for g in groups[:-1])])
        group = np.searchsorted(starts, rows, "right") - 1
        at = before[group] + rows - starts[group]
        return take_rows(table, at).select(list(columns))


def _check_names(fields: Iterable[pa.Field]) -> None:
    """Raise UnicodeDecodeError, a ValueError, where the name of a column or of a part of one is no UTF-8."""
    for field in fields:
        if field.name and pa.types.is_struct(field.type):
            _check_names(field.type)


def take_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Some rows (n,) int64 of a table, without a copy where they follow one another."""
    if len(rows) and (np.diff(rows) == 1).all():
        return table.slice(int(rows[0]), len(rows))
    return table.take(rows)


def iter_table(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Read columns of a Parquet file in order, at most `rows` rows at a time; BadInput as in `read_table`."""
    with _opened(path) as file:
        known = file.schema_arrow.names
        for name in columns:
            if name not in known:
                raise BadInput(f"{path}: has no column '{name}'.{nearest(name, known)}")
        for batch in file.iter_batches(rows, columns=list(columns), use_threads=True):
            yield pa.Table.from_batches([batch]).select(list(columns))


def column_names(path: Path) -> list[str]:
    """The names of a Parquet file's columns, without reading them."""
    with _opened(path) as file:
        return file.schema_arrow.names


def read_ipc(path: Path) -> pa.Table:
    """Read an Arrow IPC (Feather) file; BadInput where it is missing or damaged."""
    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            table = reader.read_all()
            table.validate(full=True)
            _check_names(table.schema)
            return table
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; fetch the dataset again") from error
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path} is not a readable Arrow file ({reason}); fetch it again") from error


def write_ipc(table: pa.Table, path: Path) -> None:
    """Write an Arrow IPC (Feather) file, uncompressed."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def row_groups(path: Path) -> list[tuple[int, int]]:
    """(number, rows) of a Parquet file's row groups, without reading them."""
    with _opened(path) as file:
        return [(i, file.metadata.row_group(i).num_rows) for i in range(file.num_row_groups)]


def read_row_group(path: Path, group: int, column: str) -> pa.ChunkedArray:
    """One column of one row group."""
    with _opened(path) as file:
        return file.read_row_group(group, [column], use_threads=False).column(0)


_COUNTING = ("index", "frame_index", "episode_index", "task_index")


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of a data file, part by part; makes its folder.

    Whole numbers that count are kept as their differences, which are next to nothing to store and to read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    counting = [n for n in _COUNTING if n in schema.names and pa.types.is_integer(schema.field(n).type)]
    words = [name for name in dictionary_columns(schema) if name not in counting]
    encoding = dict.fromkeys(counting, "DELTA_BINARY_PACKED")
    return pq.ParquetWriter(
        path, schema, compression="snappy", use_dictionary=words, column_encoding=encoding or None
    )


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="snappy", use_dictionary=dictionary_columns(table.schema))


def dictionary_columns(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary; measured numbers hardly ever repeat, and looking for it takes long."""
    return [field.name for field in schema if not _is_float(field.type)]


def _is_float(kind: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_float(kind.value_type)
    return pa.types.is_floating(kind)


def write_tasks(tasks: Sequence[str], path: Path) -> None:
    """Write meta/tasks.parquet as pandas would: task_index, with the task's text as the index."""
    index = pa.array(range(len(tasks)), pa.int64())
    table = pa.table({"task_index": index, "task": pa.array(tasks, pa.string())})
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [_pandas_column(None, "unicode", "object", {"encoding": "UTF-8"})],
        "columns": [
            _pandas_column("task_index", "int64", "int64"),
            _pandas_column("task", "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def _pandas_column(name: str | None, kind: str, dtype: str, metadata: dict | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "field_name": name,
        "pandas_type": kind,
        "numpy_type": dtype,
        "metadata": metadata,
    }


def read_tasks(path: Path) -> dict[int, str]:
    """Read meta/tasks.parquet into {task_index: text}, whatever name its index column has."""
    names = column_names(path)
    text = [name for name in ("task", "__index_level_0__") if name in names]
    if "task_index" not in names or not text:
        raise BadInput(f"{path}: has columns {names}; it needs 'task_index' and the task's text")
    rows = to_python(read_table(path, ["task_index", text[0]]), path)
    if not all(isinstance(row["task_index"], int) for row in rows):
        raise BadInput(f"{path}: task_index must be a whole number in every row")
    return {row["task_index"]: str(row[text[0]]) for row in rows}


def rows_to_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table from dicts with the same keys; numpy arrays become lists."""
    return pa.table({key: _column([row[key] for row in rows]) for key in rows[0]})


def _column(values: Sequence[Any]) -> pa.Array:
    first = values[0]
    if (
        not isinstance(first, np.ndarray)
        or first.ndim != 1
        or any(np.shape(v) != first.shape for v in values)
    ):
        return pa.array([_plain(value) for value in values])
    offsets = np.arange(len(values) + 1, dtype=np.int32) * np.int32(len(first))
    return pa.ListArray.from_arrays(offsets, np.concatenate(values))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
