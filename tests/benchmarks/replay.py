"""Ten million transitions of 50 numbers: the time until they can be sampled, the rate, and the memory.

The dataset of noise (about 1.5 GB) and the file that is mapped (3.8 GB) are made in a temporary folder and
removed at the end. Memory is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_rl.data import layout
from tests.benchmarks import _loading
from tests.benchmarks._rows import Row, report

STATE, ACTION = 44, 5  # and a reward: 50 numbers
PER_FILE = 1000  # episodes
BATCH = 256


def synthesise(root: Path, frames: int) -> Path:
    """A dataset as `_loading.synthesise` makes it, in many files, whose numbers repeat every file."""
    _loading.STATE, _loading.ACTION = STATE, ACTION
    size = PER_FILE * _loading.STEPS
    first = _loading.synthesise(root, min(frames, size))
    episodes, count = frames // _loading.STEPS, frames // size
    if count > 1:
        (data,) = (first / "data").rglob("*.parquet")
        table = _rounded(pq.read_table(data))
        for k in range(count):
            part = table
            for name, step in (("index", size), ("episode_index", PER_FILE)):
                column = part.column_names.index(name)
                shifted = pa.array(table.column(name).to_numpy() + k * step)
                part = part.set_column(column, table.schema.field(name), shifted)
            pq.write_table(part, data.with_name(f"file-{k:03d}.parquet"), row_group_size=20_000)
        for path in (first / layout.OWN_TABLE, *(first / "meta" / "episodes").rglob("*.parquet")):
            _repeat(path, episodes)
        info = json.loads((first / layout.INFO).read_text())
        info |= {"total_episodes": episodes, "total_frames": frames, "splits": {"train": f"0:{episodes}"}}
        (first / layout.INFO).write_text(json.dumps(info))
    return first


def _rounded(table: pa.Table) -> pa.Table:
    """The same with states and actions of half precision, which take half the disk."""
    for name in (layout.STATE, layout.ACTION):
        column = table.column_names.index(name)
        flat = table.column(name).combine_chunks().flatten().to_numpy().astype(np.float16).astype(np.float32)
        values = pa.FixedSizeListArray.from_arrays(pa.array(flat), len(flat) // len(table))
        table = table.set_column(column, table.schema.field(name), values)
    return table


def _repeat(path: Path, episodes: int) -> None:
    """Make rows for all episodes of a file's, with their own numbers."""
    table = pq.read_table(path)
    table = table.take(pa.array(np.arange(episodes) % len(table)))
    own = {
        "episode_index": np.arange(episodes),
        "dataset_from_index": np.arange(episodes) * _loading.STEPS,
        "dataset_to_index": (np.arange(episodes) + 1) * _loading.STEPS,
        "data/file_index": np.arange(episodes) // PER_FILE,
    }
    for name, values in own.items():
        if name in table.column_names:
            column = table.column_names.index(name)
            table = table.set_column(column, table.schema.field(name), pa.array(values))
    pq.write_table(table, path)


def measure(root: Path) -> dict[str, float]:
    """Open, write and scale, then sample; run in a process of its own."""
    import torch

    from robot_rl.data.replay_file import replay_file
    from robot_rl.data.store import Dataset
    from robot_rl.learners.describe import describe_policy
    from robot_rl.learners.file_table import FileTable
    from robot_rl.learners.prepare import prepare

    torch.set_num_threads(2)
    found, start = {}, time.perf_counter()
    dataset = Dataset.open(root)
    file = replay_file(dataset)
    found["write"] = time.perf_counter() - start
    start = time.perf_counter()
    description = describe_policy(dataset, file.actions[:1000], "next.reward", "unit")
    prepared = prepare(file, description)
    table, generator = FileTable(prepared.transitions, prepared.scaler), torch.Generator().manual_seed(0)
    found["scale"] = time.perf_counter() - start
    for name, count in (("first", 200), ("warm", 2000)):
        start = time.perf_counter()
        for _ in range(count):
            table.sample(BATCH, generator)
        found[name] = count * BATCH / (time.perf_counter() - start)
    # Pages of a map count as long as they are in memory, though the system may drop them at any time.
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    found["own"] = int(status["RssAnon"].split()[0]) / 2**20
    return {**found, "transitions": len(file), "bytes": file.rows.nbytes}


def main() -> None:
    """Run the benchmark; `--quick` takes a fiftieth, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    frames = 200_000 if options.quick else 10_000_000
    with tempfile.TemporaryDirectory(prefix="replay-") as name:
        start = time.perf_counter()
        root = synthesise(Path(name) / "data", frames)
        made, size = time.perf_counter() - start, sum(p.stat().st_size for p in root.rglob("*.parquet"))
        environment = {**os.environ, "ROBOT_RL_CACHE": str(Path(name) / "cache")}
        command = [sys.executable, __file__, "--measure", str(root)]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found = json.loads(told.splitlines()[-1])
    load = f"load {os.getloadavg()[0]:.1f}"
    report("replay", [
        Row.of("transitions", found["transitions"], "", (">=", frames), "of 50 numbers"),
        Row.of("dataset", round(size / 1e9, 2), "GB", None, f"made in {made:.0f} s"),
        Row.of("file", round(found["bytes"] / 1e9, 2), "GB", None, "next state beside state: one gather"),
        Row.of("first_load", round(found["write"]), "s", None, f"Parquet to the file, once; {load}"),
        Row.of("scale", round(found["scale"], 1), "s", None, "mean and std; each run"),
        Row.of("sample_first", round(found["first"]), "transitions/s", None, f"batches of {BATCH}"),
        Row.of("sample", round(found["warm"]), "transitions/s", None, "sampled and scaled"),
        Row.of("memory_own", round(found["own"], 2), "GB", ("<=", 4), "anonymous, after sampling"),
        Row.of("memory_peak", round(found["peak"], 2), "GB", ("<=", 24), "with pages of the map"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
