"""Makes a new dataset of whole episodes of one or several others: rows copied, videos linked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.checksums import write_checksums
from robot_rl.data.edit.agree import check_agreement, common_metadata, lone_clocks
from robot_rl.data.edit.episode_rows import episode_rows, extra_rows, stats_of
from robot_rl.data.extras import DatasetExtra, write_dataset_extra
from robot_rl.data.images import VideoCamera
from robot_rl.data.relabel import link, row_groups
from robot_rl.data.store import Dataset
from robot_rl.data.tables import parquet_writer, read_table, rows_to_table, write_table, write_tasks
from robot_rl.errors import BadInput


@dataclass(frozen=True)
class Part:
    """Some episodes of one source, and what they become."""

    dataset: Dataset
    chosen: np.ndarray  # (C,) int64 episodes of the source, ascending
    first: int  # the new number of the first of them
    start: int  # the new number of its first frame
    lost: tuple[str, ...] = ()  # columns that do not go along

    @cached_property
    def new_episode(self) -> np.ndarray:
        """(E,) int64 the new number of each episode of the source, -1 where it is left out."""
        numbers = np.full(len(self.dataset), -1)
        numbers[self.chosen] = self.first + np.arange(len(self.chosen))
        return numbers

    @cached_property
    def new_start(self) -> np.ndarray:
        """(E,) int64 the new number of each episode's first frame."""
        starts = np.zeros(len(self.dataset), np.int64)
        lengths = self.dataset.lengths[self.chosen]
        starts[self.chosen] = self.start + np.cumsum(lengths) - lengths
        return starts


def assemble(
    parts: Sequence[tuple[Dataset, Sequence[int]]], path: str | Path, record: Mapping[str, Any]
) -> Dataset:
    """Write the chosen episodes of the datasets, one behind the other, to the new folder `path`.

    Columns, labels, extras and statistics go along as they are, but for time stamps that only some sources
    had; video files are linked whole. `record` (the
    operation and its arguments) is kept in meta/robot_rl.json beside each source's hash and the episodes'
    numbers in it. Raises BadInput where fields do not agree, a file is missing or `path` is in use.
    """
    target = Path(os.path.abspath(path))
    layout.check_target(target)
    check_agreement([dataset for dataset, _ in parts])
    laid = _lay_out(parts)
    building = layout.building_folder(target)
    try:
        building.mkdir(parents=True)
        _write(laid, building, dict(record))
        write_checksums(building)
        layout.sync_tree(building)
        os.rename(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    layout.sync(target.parent)
    return Dataset.open(target)


def _lay_out(parts: Sequence[tuple[Dataset, Sequence[int]]]) -> list[Part]:
    laid, first, start = [], 0, 0
    lost = lone_clocks([dataset for dataset, _ in parts])
    for dataset, episodes in parts:
        chosen = np.array(sorted(set(episodes)), np.int64)
        if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < len(dataset):
            raise BadInput(f"episodes: {dataset.root} has episodes 0 to {len(dataset) - 1}, not {chosen[-1]}")
        laid.append(Part(dataset, chosen, first, start, lost))
        first, start = first + len(chosen), start + int(dataset.lengths[chosen].sum())
    if first == 0:
        raise BadInput("episodes: none is left; a dataset needs at least one")
    return laid


def _write(parts: Sequence[Part], root: Path, record: dict[str, Any]) -> None:
    tasks = _tasks(parts)
    rows = [row for part in parts for row in episode_rows(part.dataset, part.chosen, part.first, part.start)]
    for row in rows:
        for key in [key for key in row if key.startswith("stats/") and key.split("/")[1] in parts[0].lost]:
            del row[key]
    _write_data(parts, rows, tasks, root)
    _link_videos(parts, rows, root)
    write_table(rows_to_table(rows), root / layout.EPISODES_PATH.format(chunk_index=0, file_index=0))
    write_tasks(tasks, root / layout.TASKS)
    extras = extra_rows([(part.dataset, part.chosen) for part in parts])
    if extras is not None:
        write_table(extras, root / layout.OWN_TABLE)
    write_dataset_extra(_extra(parts, record), root / layout.OWN_JSON)
    stats = stats_of([(part.dataset, part.chosen) for part in parts], rows, parts[0].lost)
    layout.write_json(stats, root / layout.STATS)
    layout.write_json(_info(parts, rows, len(tasks)), root / layout.INFO)


def _tasks(parts: Sequence[Part]) -> list[str]:
    """The tasks that the chosen episodes have, in the order of the sources."""
    found: dict[str, None] = {}
    for part in parts:
        kept = part.new_episode[part.dataset.episode_index] >= 0
        used = np.unique(part.dataset.column("task_index")[kept]).tolist()
        found |= dict.fromkeys(part.dataset.tasks[index] for index in used)
    return list(found)


def _extra(parts: Sequence[Part], record: dict[str, Any]) -> DatasetExtra:
    sources = [
        {
            "name": part.dataset.root.resolve().name,
            "source_hash": part.dataset.content_hash,
            "episodes": part.chosen.tolist(),
            "source_provenance": part.dataset.info.provenance,
        }
        for part in parts
    ]
    metadata = common_metadata([part.dataset for part in parts])
    if len(parts) == 1:
        return DatasetExtra(metadata, {**record, **sources[0]})
    told = [dict(part.dataset.info.metadata) for part in parts]
    sources = [{**source, "source_metadata": own} for source, own in zip(sources, told, strict=True)]
    return DatasetExtra(metadata, {**record, "sources": sources})


def _write_data(parts: Sequence[Part], rows: Sequence[dict], tasks: Sequence[str], root: Path) -> None:
    """Copy the rows of the chosen episodes, a data file for each of the sources' that holds some."""
    number, schema = 0, None
    for part in parts:
        for tables in _files(part):
            writer, place = None, divmod(number, layout.CHUNK_SIZE)
            try:
                for table in tables:
                    table, episodes = _renumbered(part, table, tasks)
                    if not len(table):
                        continue
                    for episode in np.unique(episodes).tolist():
                        rows[episode]["data/chunk_index"], rows[episode]["data/file_index"] = place
                    if writer is None:
                        schema = schema or table.schema
                        target = root / layout.DATA_PATH.format(chunk_index=place[0], file_index=place[1])
                        writer = parquet_writer(target, schema)
                    writer.write_table(table.select(schema.names).cast(schema))
            finally:
                if writer is not None:
                    writer.close()
                    number += 1


def _files(part: Part) -> list[Any]:
    """The tables of each data file, part by part; one sorted table where rows lie out of order."""
    dataset = part.dataset
    if np.array_equal(dataset.order, np.arange(len(dataset.order))):
        return [row_groups(path) for path in dataset.data_files]
    return [[pa.concat_tables([read_table(path) for path in dataset.data_files]).take(dataset.order)]]


def _renumbered(part: Part, table: pa.Table, tasks: Sequence[str]) -> tuple[pa.Table, np.ndarray]:
    """The rows of chosen episodes with their new numbers, and the new episode of each row."""
    dataset = part.dataset
    frames = np.searchsorted(dataset.column("index"), table.column("index").to_numpy())
    old = dataset.episode_index[frames]
    kept = part.new_episode[old] >= 0
    table, frames, old = table.filter(pa.array(kept)), frames[kept], old[kept]
    table = table.drop_columns([name for name in part.lost if name in table.column_names])
    number = {text: i for i, text in enumerate(tasks)}
    task = [number[dataset.tasks[i]] for i in table.column("task_index").to_pylist()]
    columns = {
        "episode_index": part.new_episode[old],
        "index": part.new_start[old] + dataset.frame_index[frames],
        "task_index": np.array(task, np.int64),
    }
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.int64()))
    # Metadata that other libraries keep in the schema describes the rows before the change.
    return table.replace_schema_metadata(None), part.new_episode[old]


def _link_videos(parts: Sequence[Part], rows: Sequence[dict], root: Path) -> None:
    """Give each video file that chosen episodes lie in a place in the new dataset."""
    for camera in parts[0].dataset.info.cameras:
        number = 0
        for part in parts:
            source, places = part.dataset.camera(camera), {}
            if not isinstance(source, VideoCamera):
                continue
            for new, episode in enumerate(part.chosen.tolist(), part.first):
                path = source.episode(episode).path
                if path not in places:
                    if not path.exists():
                        raise BadInput(f"{path} is missing; fetch the video, or leave episode {episode} out")
                    places[path], number = divmod(number, layout.CHUNK_SIZE), number + 1
                    chunk, file = places[path]
                    name = layout.VIDEO_PATH.format(video_key=source.key, chunk_index=chunk, file_index=file)
                    link(path, root / name)
                chunk, file = places[path]
                rows[new][f"videos/{source.key}/chunk_index"] = chunk
                rows[new][f"videos/{source.key}/file_index"] = file


def _info(parts: Sequence[Part], rows: Sequence[Mapping[str, Any]], tasks: int) -> dict[str, Any]:
    raw = parts[0].dataset.raw
    videos = any(feature.get("dtype") == "video" for feature in raw["features"].values())
    return {
        **raw,
        "features": {n: f for n, f in raw["features"].items() if n not in parts[0].lost},
        "total_episodes": len(rows),
        "total_frames": sum(row["length"] for row in rows),
        "total_tasks": tasks,
        "chunks_size": layout.CHUNK_SIZE,
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": layout.DATA_PATH,
        "video_path": layout.VIDEO_PATH if videos else None,
    }
