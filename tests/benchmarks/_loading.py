"""How fast a dataset on disk becomes transitions, beside pyarrow reading the same columns and no more."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_rl.data import layout
from robot_rl.data.episode import Episode
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from tests.benchmarks._rows import Row

STATE, ACTION, STEPS = 39, 4, 200
COLUMNS = (layout.STATE, layout.ACTION, layout.REWARD)


def loading(frames: int, rounds: int) -> list[Row]:
    """Rows of a dataset of so many frames, read in turn by pyarrow and by us; the files are in memory."""
    with tempfile.TemporaryDirectory(prefix="loading-") as name:
        root = synthesise(Path(name) / "data", frames)
        files = sorted((root / "data").rglob("*.parquet"))
        bare, whole = [], []
        for k in range(rounds + 1):  # the first brings the files into memory
            start = time.perf_counter()
            for path in files:
                pq.read_table(path, columns=list(COLUMNS))
            middle = time.perf_counter()
            count = len(transitions_from_dataset(Dataset.open(root)))
            if k:
                bare.append(middle - start)
                whole.append(time.perf_counter() - middle)
    assert count == frames
    share = statistics.median(b / w for b, w in zip(bare, whole, strict=True))
    note = (
        f"median of {rounds} rounds, {frames:,} frames in episodes of {STEPS}, load {os.getloadavg()[0]:.1f}"
    )
    rate = [frames / statistics.median(seconds) for seconds in (bare, whole)]
    return [
        Row.of("parquet_read", round(rate[0]), "transitions/s", None, f"{', '.join(COLUMNS)}; {note}"),
        Row.of("load", round(rate[1]), "transitions/s", None, "Dataset.open and transitions_from_dataset"),
        Row.of("load_share_of_parquet", round(share, 3), "", (">=", 0.5), "median of the rounds' ratios"),
    ]


def synthesise(root: Path, frames: int) -> Path:
    """A dataset of noise as our writer writes it: the writer makes one episode, pyarrow the others."""
    rng = np.random.default_rng(0)
    names = {"state_names": [f"s{i}" for i in range(STATE)], "action_names": [f"a{i}" for i in range(ACTION)]}
    writer = DatasetWriter(root, fps=20.0, cameras={}, **names)
    writer.write(0, _episode(rng))
    writer.close()
    count = frames // STEPS
    for path in (root / layout.OWN_TABLE, *(root / "meta" / "episodes").rglob("*.parquet")):
        _repeat_episode_rows(path, count)
    (data,) = (root / "data").rglob("*.parquet")
    _repeat_frames(data, count, rng)
    info = json.loads((root / layout.INFO).read_text())
    info |= {"total_episodes": count, "total_frames": frames, "splits": {"train": f"0:{count}"}}
    (root / layout.INFO).write_text(json.dumps(info))
    return root


def _episode(rng: np.random.Generator) -> Episode:
    states = rng.normal(size=(STEPS + 1, STATE)).astype(np.float32)
    return Episode(
        observations={"state": states[:-1]},
        actions=rng.uniform(-1, 1, (STEPS, ACTION)).astype(np.float32),
        task="noise",
        fps=20.0,
        rewards=np.zeros(STEPS, np.float32),
        final_observation={"state": states[-1]},
    )


def _repeat_episode_rows(path: Path, count: int) -> None:
    """Make `count` rows of a file's one, with their own numbers."""
    one = pq.read_table(path)
    table = one.take(pa.array(np.zeros(count, np.int64)))
    starts = np.arange(count, dtype=np.int64)
    own = {
        "episode_index": starts,
        "dataset_from_index": starts * STEPS,
        "dataset_to_index": (starts + 1) * STEPS,
    }
    for name, values in own.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), one.field(name), pa.array(values))
    pq.write_table(table, path)


def _repeat_frames(path: Path, count: int, rng: np.random.Generator) -> None:
    """Write `count` episodes into the data file, one row group each, as the writer does."""
    one = pq.read_table(path)
    with pq.ParquetWriter(path, one.schema) as writer:
        for episode in range(count):
            table = one
            for name, values in (
                ("episode_index", np.full(STEPS, episode)),
                ("index", episode * STEPS + np.arange(STEPS)),
                (layout.REWARD, rng.normal(size=STEPS).astype(np.float32)),
                (layout.STATE, _vectors(rng, STATE)),
                (layout.ACTION, _vectors(rng, ACTION)),
            ):
                column = table.column_names.index(name)
                array = values if isinstance(values, pa.Array) else pa.array(values)
                table = table.set_column(column, one.field(name), array)
            writer.write_table(table)


def _vectors(rng: np.random.Generator, size: int) -> pa.Array:
    flat = pa.array(rng.normal(size=STEPS * size).astype(np.float32))
    return pa.FixedSizeListArray.from_arrays(flat, size)
