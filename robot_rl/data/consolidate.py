"""Turns staged episodes into the LeRobot v3.0 layout: shared Parquet and MP4 files and the `meta/` folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_rl.data import layout
from robot_rl.data.extras import DatasetExtra, write_dataset_extra
from robot_rl.data.spec import DatasetSpec
from robot_rl.data.staging import Staged
from robot_rl.data.stats import constant_stats, counting_stats, merge_stats
from robot_rl.data.tables import parquet_writer, rows_to_table, write_table, write_tasks
from robot_rl.data.video import VideoReader
from robot_rl.data.video_write import join, stream_key
from robot_rl.errors import BadInput

MEGABYTE = 2**20
ROW_GROUP = 16_384  # steps from which a row group of whole episodes ends
_NUMBERS = 24  # bytes a step of episode_index, index and task_index


@dataclass(frozen=True)
class Limits:
    """Sizes in megabytes at which the next data or video file begins."""

    data_mb: float = 100
    video_mb: float = 200


def consolidate(staged: Sequence[Staged], spec: DatasetSpec, root: Path, limits: Limits) -> None:
    """Write the dataset of the `staged` episodes, in that order, to the new folder `root`."""
    records = [episode.record() for episode in staged]
    for episode, record in zip(staged, records, strict=True):
        if set(record["columns"]) != set(records[0]["columns"]):
            raise BadInput(
                f"{episode.folder} has the columns {record['columns']}, but {staged[0].folder} has "
                f"{records[0]['columns']}; remove the folder that is wrong and close again"
            )
    tasks = list(dict.fromkeys(record["task"] for record in records))
    rows = _rows(records, tasks)
    _write_data(staged, rows, [tasks.index(r["task"]) for r in records], root, limits)
    codecs = {camera: _write_videos(staged, camera, rows, spec.fps, root, limits) for camera in spec.cameras}
    write_table(rows_to_table(rows), root / layout.EPISODES_PATH.format(chunk_index=0, file_index=0))
    write_tasks(tasks, root / layout.TASKS)
    _write_extras(staged, spec, root)
    layout.write_json(total_stats(rows), root / layout.STATS)
    layout.write_json(_info(spec, records, codecs, len(tasks), limits), root / layout.INFO)


def _rows(records: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of meta/episodes, still without the places in data and video files."""
    rows, start = [], 0
    for index, record in enumerate(records):
        stop = start + record["length"]
        row = {
            "episode_index": index,
            "tasks": [record["task"]],
            "length": record["length"],
            "dataset_from_index": start,
            "dataset_to_index": stop,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        stats = {
            **record["stats"],
            "episode_index": constant_stats(index, record["length"]),
            "index": counting_stats(start, record["length"]),
            "task_index": constant_stats(tasks.index(record["task"]), record["length"]),
        }
        row |= {f"stats/{name}/{key}": value for name, entry in stats.items() for key, value in entry.items()}
        rows.append(row)
        start = stop
    return rows


def total_stats(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """meta/stats.json from the per-episode statistics in rows of meta/episodes."""
    names = dict.fromkeys(key.split("/")[1] for key in rows[0] if key.startswith("stats/"))
    parts = ("min", "max", "mean", "std", "count")
    return {
        name: merge_stats([{p: row[f"stats/{name}/{p}"] for p in parts} for row in rows]) for name in names
    }


class _Files:
    """Counts chunk and file numbers while sizes add up."""

    def __init__(self, limit_mb: float):
        self._limit, self._size, self.number, self._key = limit_mb * MEGABYTE, 0.0, 0, None

    def place(self, size: float, key: Any = None) -> tuple[int, int]:
        """Chunk and file for the next episode of `size` bytes; another `key` begins another file."""
        if self._size and (self._size + size > self._limit or key != self._key):
            self.number, self._size = self.number + 1, 0.0
        self._size, self._key = self._size + size, key
        return divmod(self.number, layout.CHUNK_SIZE)


def _write_data(
    staged: Sequence[Staged], rows: Sequence[dict], task_indices: Sequence[int], root: Path, limits: Limits
) -> None:
    """Write whole episodes into data files, and note each one's place in `rows`."""
    files, writer, current, waiting = _Files(limits.data_mb), None, (0, 0), _Waiting(rows, task_indices)
    try:
        for number, episode in enumerate(staged):
            table = episode.table()
            place = files.place(table.nbytes + _NUMBERS * len(table))
            if (place != current and waiting.tables) or waiting.steps >= ROW_GROUP:
                writer = waiting.write(writer, root, current)
            if place != current and writer:
                writer.close()
                writer = None
            current = place
            rows[number]["data/chunk_index"], rows[number]["data/file_index"] = place
            waiting.add(number, table)
        writer = waiting.write(writer, root, current)
    finally:
        if writer:
            writer.close()


class _Waiting:
    """Episodes that will be one row group: each on its own would take far longer to write and to read."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], task_indices: Sequence[int]):
        self._rows, self._tasks = rows, task_indices
        self.tables: dict[int, pa.Table] = {}
        self.steps = 0

    def add(self, number: int, table: pa.Table) -> None:
        """Take an episode's table."""
        self.tables[number] = table
        self.steps += len(table)

    def write(self, writer: pq.ParquetWriter | None, root: Path, place: tuple[int, int]) -> pq.ParquetWriter:
        """Write what waits to `writer`, or to a new one at a place; returns the writer."""
        numbers = np.array(list(self.tables))
        lengths = [len(table) for table in self.tables.values()]
        start = self._rows[numbers[0]]["dataset_from_index"]
        columns = {
            "episode_index": np.repeat([self._rows[n]["episode_index"] for n in numbers], lengths),
            "index": np.arange(start, start + self.steps),
            "task_index": np.repeat([self._tasks[n] for n in numbers], lengths),
        }
        first = next(iter(self.tables.values())).schema.names
        table = pa.concat_tables([table.select(first) for table in self.tables.values()])
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values, pa.int64()))
        if writer is None:
            path = root / layout.DATA_PATH.format(chunk_index=place[0], file_index=place[1])
            writer = parquet_writer(path, table.schema)
        writer.write_table(table.select(writer.schema.names))
        self.tables, self.steps = {}, 0
        return writer


def _write_videos(
    staged: Sequence[Staged], camera: str, rows: Sequence[dict], fps: float, root: Path, limits: Limits
) -> str:
    """Join one camera's videos into files, note each one's place and times in `rows`; returns the codec."""
    key, files = layout.IMAGES + camera, _Files(limits.video_mb)
    paths = [episode.video(camera) for episode in staged]
    groups: dict[tuple[int, int], list[int]] = {}
    for episode, path in enumerate(paths):
        groups.setdefault(files.place(path.stat().st_size, stream_key(path)), []).append(episode)
    for (chunk, file), episodes in groups.items():
        path = root / layout.VIDEO_PATH.format(video_key=key, chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(episodes) == 1:
            shutil.copyfile(paths[episodes[0]], path)
            starts = [0.0]
        else:
            starts = join([paths[e] for e in episodes], path, fps)
        for episode, start in zip(episodes, starts, strict=True):
            row = rows[episode]
            row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"] = chunk, file
            row[f"videos/{key}/from_timestamp"] = start
            row[f"videos/{key}/to_timestamp"] = start + row["length"] / fps
        reader = VideoReader(path)
        _check_count(reader, sum(rows[e]["length"] for e in episodes))
        codec = reader.codec
        reader.close()
    return codec


def _check_count(reader: VideoReader, frames: int) -> None:
    if len(reader) != frames:
        raise BadInput(
            f"{reader.path}: joined videos have {len(reader)} frames, but the episodes have {frames} "
            "steps; remove the staged episode whose video is too short and close again"
        )


def _write_extras(staged: Sequence[Staged], spec: DatasetSpec, root: Path) -> None:
    tables = [episode.extra() for episode in staged]
    table = pa.concat_tables(tables, promote_options="default")
    table = table.add_column(0, "episode_index", pa.array(np.arange(len(staged))))
    write_table(table, root / layout.OWN_TABLE)
    write_dataset_extra(DatasetExtra(spec.metadata, spec.provenance), root / layout.OWN_JSON)


def _info(
    spec: DatasetSpec,
    records: Sequence[Mapping[str, Any]],
    codecs: Mapping[str, str],
    tasks: int,
    limits: Limits,
) -> dict[str, Any]:
    return {
        "codebase_version": layout.CODEBASE_VERSION,
        "robot_type": spec.robot_type,
        "total_episodes": len(records),
        "total_frames": sum(r["length"] for r in records),
        "total_tasks": tasks,
        "chunks_size": layout.CHUNK_SIZE,
        "data_files_size_in_mb": layout.whole(limits.data_mb),
        "video_files_size_in_mb": layout.whole(limits.video_mb),
        "fps": layout.whole(spec.fps),
        "splits": {"train": f"0:{len(records)}"},
        "data_path": layout.DATA_PATH,
        "video_path": layout.VIDEO_PATH if spec.cameras else None,
        "features": _features(spec, records[0]["columns"], codecs),
    }


def _features(spec: DatasetSpec, columns: Sequence[str], codecs: Mapping[str, str]) -> dict[str, Any]:
    kinds = {layout.SUCCESS: "bool", layout.DONE: "bool", "frame_index": "int64"}
    features = {layout.STATE: layout.vector_feature(spec.state_names)}
    features |= {
        layout.OBSERVATION + name: layout.vector_feature(parts) for name, parts in spec.vectors.items()
    }
    features[layout.ACTION] = layout.vector_feature(spec.action_names)
    features |= {
        layout.IMAGES + camera: layout.video_feature(size, spec.fps, codecs[camera])
        for camera, size in spec.cameras.items()
    }
    for name in columns:
        features.setdefault(name, layout.scalar_feature(kinds.get(name, "float32")))
    return features | {
        name: layout.scalar_feature("int64") for name in ("episode_index", "index", "task_index")
    }
