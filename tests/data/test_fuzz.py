"""Damaged files are refused in one line or read, and what the benchmark `fuzz` found stays found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.data import layout
from robot_rl.data.importers import import_dataset
from robot_rl.data.importers.hdf5 import Hdf5
from robot_rl.data.importers.lerobot_features import present
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.benchmarks._fuzzed import CORPUS, read
from tests.benchmarks._mutate import mutate
from tests.conftest import write_tiny
from tests.data.importers.files import STEPS, minari_metadata, robomimic
from tests.data.importers.test_d4rl import write as d4rl
from tests.data.importers.test_minari import arrow

CASES = 12  # of each format; the benchmark reads thousands


@pytest.mark.parametrize("name", CORPUS)
def test_damaged_files_are_refused_in_one_line_or_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    where = CORPUS[name](tmp_path / "corpus")
    read(name, where)  # whole, it is read
    contents = {
        p: p.read_bytes() for p in sorted(where.rglob("*") if where.is_dir() else [where]) if p.is_file()
    }
    refused = 0
    for number in range(CASES):
        rng = np.random.default_rng([7, number])
        path = list(contents)[int(rng.integers(len(contents)))]
        mutate(rng, path)
        try:
            read(name, where)
        except BadInput as error:
            refused += 1
            assert "\n" not in str(error)
        path.write_bytes(contents[path])
    assert refused


def spoil_table(path: Path, name: str, values: Any) -> None:
    """Replace a column of a Parquet file."""
    table = pq.read_table(path)
    at = table.column_names.index(name)
    pq.write_table(table.set_column(at, name, pa.array(values)), path)


def test_a_task_index_that_is_not_there(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "d", 2).root
    spoil_table(root / layout.TASKS, "task_index", [5])
    with pytest.raises(BadInput, match="tasks.parquet has no task_index 0, that of episode 1"):
        Dataset.open(root).episode(1)


def test_groups_that_link_in_circles_are_listed_once(tmp_path: Path) -> None:
    path = d4rl(tmp_path / "s.hdf5")
    with h5py.File(path, "a") as file:
        for name in ("a", "b", "c", "d"):  # each of them multiplies the paths at every level
            file[f"infos/{name}"] = file["/"]
    with Hdf5(path) as file:
        found = file.arrays("infos")
    assert {"infos/goal_distance", "infos/qpos", "infos/a/observations"} <= set(found)
    assert len(found) == 9  # the file's arrays, each once


def test_single_values_where_arrays_should_be(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False)
    with h5py.File(path, "a") as file:
        for demonstration in file["data"].values():
            del demonstration["states"]
            demonstration["states"] = 3.0
    with pytest.raises(BadInput, match="'data/demo_0/states' is a single value; it needs an axis of time"):
        import_dataset(path, tmp_path / "d", task="x")


def test_arrays_without_rows(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False, obs__eef=np.zeros((0, 3)))
    with pytest.raises(BadInput, match="different numbers of steps"):
        import_dataset(path, tmp_path / "d", task="x")


def test_a_truth_value_that_is_an_array(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file["observations_0"], file["actions_0"] = np.zeros((4, 2)), np.zeros((4, 1))
        file["rewards_0"], file["terminated_0"] = np.zeros((4, 1)), np.zeros(5)
    with pytest.raises(BadInput, match="'terminated_0' is float64 .5,.; it must be one truth value"):
        import_dataset(path, tmp_path / "d", task="x")


def test_text_and_ragged_lists_in_place_of_rewards(tmp_path: Path) -> None:
    for values in (["a"] * (STEPS + 1), [[0.5] * (i % 3) for i in range(STEPS + 1)]):
        source = arrow(tmp_path / f"s{len(values[0])}", "parquet")
        spoil_table(source / "data/0/part-0.parquet", "rewards", values)
        with pytest.raises(BadInput, match="column 'rewards' has"):
            import_dataset(source, tmp_path / "d", task="x")


def test_shapes_too_large_to_count(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "d", 1).root
    info = layout.read_json(root / layout.INFO)
    info["features"]["action"]["shape"] = [10**30]
    layout.write_json(info, root / layout.INFO)
    with pytest.raises(BadInput, match="shape is .*must be a list of positive numbers"):
        Dataset.open(root)


def test_tasks_whose_numbers_are_none(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "d", 1).root
    spoil_table(root / layout.TASKS, "task_index", [{"a": 1}])
    with pytest.raises(BadInput, match="task_index must be a whole number in every row"):
        Dataset.open(root)


def test_features_without_the_column_that_orders_frames(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "d", 1).root
    info = layout.read_json(root / layout.INFO)
    del info["features"]["index"]
    layout.write_json(info, root / layout.INFO)
    with pytest.raises(BadInput, match="features has no 'index', which the format requires"):
        Dataset.open(root).column("action")


def test_numbers_too_large_for_float32(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False, rewards=np.full(STEPS, 1e300))
    with pytest.raises(BadInput, match="demo_1: rewards holds inf at step 0"):
        import_dataset(path, tmp_path / "d", task="x")


def test_metadata_that_nests_without_end(tmp_path: Path) -> None:
    minari_metadata(tmp_path / "s", observation_space="[" * 100_000)
    with pytest.raises(BadInput, match="not readable JSON"):
        import_dataset(tmp_path / "s", tmp_path / "d", task="x")
    (tmp_path / "s/data/metadata.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(BadInput, match="metadata.json is not readable JSON"):
        import_dataset(tmp_path / "s", tmp_path / "d", task="x")


def not_utf8(texts: list[str]) -> pa.Array:
    """Strings the first of which begins with a byte that no UTF-8 has."""
    data = bytearray("".join(texts).encode())
    data[0] = 0xFF
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets.tobytes()), pa.py_buffer(bytes(data)))


@pytest.mark.parametrize(("where", "column"), [(layout.TASKS, "task"), (layout.OWN_TABLE, "metadata")])
def test_texts_that_are_not_utf8(tmp_path: Path, where: str, column: str) -> None:
    root = write_tiny(tmp_path / "d", 1).root
    table = pq.read_table(root / where)
    texts = ["x"] * table.num_rows
    at = table.column_names.index(column)
    pq.write_table(table.set_column(at, column, not_utf8(texts)), root / where)
    with pytest.raises(BadInput, match=f"{Path(where).name} holds a text that is not UTF-8"):
        Dataset.open(root).episode(0)


def test_parts_whose_names_are_not_utf8(tmp_path: Path) -> None:
    source = arrow(tmp_path / "s", "arrow")
    path = source / "data/0/part-0.arrow"
    content = path.read_bytes()
    assert b"\0goal\0" in content  # the part of the observations
    path.write_bytes(content.replace(b"\0goal\0", b"\0\xffoal\0"))
    with pytest.raises(BadInput, match="part-0.arrow is not a readable Arrow file"):
        import_dataset(source, tmp_path / "d", task="x")


def test_a_task_that_is_no_number(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "d", 1).root
    path = next((root / "data").rglob("*.parquet"))
    count = pq.read_metadata(path).num_rows
    spoil_table(path, "task_index", np.full(count, np.nan))
    with pytest.raises(BadInput, match="tasks.parquet has no task_index nan, that of episode 0"):
        Dataset.open(root).episode(0)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    assert present(tmp_path / ("1" * 400)) is False
