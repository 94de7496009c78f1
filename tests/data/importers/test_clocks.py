"""Time stamps of a source come along, so that its jumps are found; units that it states are kept."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.data import layout
from robot_rl.data.exporters import export_dataset
from robot_rl.data.findings import inspect_dataset
from robot_rl.data.importers import import_dataset
from robot_rl.data.importers.clocks import seconds, unit_words, units_of
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import write_tiny
from tests.data.importers import files, test_clips, test_d4rl, test_minari
from tests.data.importers.test_lerobot_v3 import edit_info, of_others

JUMP = np.where(np.arange(12) < 7, 0.0, 2.5)  # s, added to regular stamps: 2.5 s are missing before step 7


def found_in(root: Path, kind: str) -> list:
    return [one for one in inspect_dataset(Dataset.open(root)).findings if one.kind == kind]


@pytest.mark.parametrize(
    ("stamps", "told"),
    [
        (np.array([0.0, 0.1, 0.3]), [0, 0.1, 0.3]),
        (np.array([5.0, 5.1]), [5, 5.1]),
        (np.array([1.7e9, 1.7e9 + 0.1]), [0, 0.1]),
        (np.array([1_700_000_000_000_000_001, 1_700_000_000_250_000_001]), [0, 0.25]),
        (np.array([1_700_000_000_000, 1_700_000_000_040]), [0, 0.04]),
        (np.array([3, 4, 6]), [3, 4, 6]),
        (np.array([0.0, np.nan, 0.2]), [0, 0, 0.2]),
        (np.array([np.nan, np.nan]), [0, 0]),
        (np.array([]), []),
    ],
)
def test_stamps_become_seconds(stamps: np.ndarray, told: list[float]) -> None:
    found = seconds(stamps)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, told, atol=2e-7)


def test_units_need_one_for_each_number() -> None:
    assert units_of("rad", 2) == ["rad", "rad"] and units_of(["m", ""], 2) == ["m", ""]
    assert units_of(["m"], 2) == units_of(None, 2) == ["", ""]
    told = {"state_units": ["m", None], "action_units": ["", ""], "x": 1}
    assert unit_words(told, 2, 2) == {"state_units": ["m", ""]}
    assert unit_words(told, 3, 2) == {}


def test_a_lerobot_dataset_whose_stamps_jump(tmp_path: Path) -> None:
    source = of_others(tmp_path / "s")
    path = sorted(source.glob("data/*/*.parquet"))[2]
    table = pq.read_table(path)
    stamps = pa.array((np.arange(12) / 10 + JUMP).astype(np.float32))
    at = table.column_names.index("timestamp")
    pq.write_table(table.set_column(at, "timestamp", stamps), path)
    features = layout.read_json(source / layout.INFO)["features"]
    features["observation.state"]["units"] = ["rad"] * features["observation.state"]["shape"][0]
    edit_info(source, features=features)
    import_dataset(source, tmp_path / "d")
    (gap,) = found_in(tmp_path / "d", "gap")
    assert (gap.channel, str(gap.places[0])) == ("source.timestamp", "episode 2, steps 6-7")
    assert "about 25 steps missing, the longest 2.6 s" in gap.what
    assert set(Dataset.open(tmp_path / "d").info.metadata["state_units"]) == {"rad"}


def test_stamps_that_are_absent_stand_still_or_are_named(tmp_path: Path) -> None:
    source = of_others(tmp_path / "s")
    path = sorted(source.glob("data/*/*.parquet"))[1]
    table = pq.read_table(path).drop_columns(["timestamp"])
    stamps = [None if t in (3, 4) else t / 10 for t in range(12)]
    pq.write_table(table.append_column("timestamp", pa.array(stamps, pa.float32())), path)
    import_dataset(source, tmp_path / "d")
    (still,) = found_in(tmp_path / "d", "time")
    assert [str(place) for place in still.places] == ["episode 1, steps 2-3", "episode 1, steps 3-4"]
    pq.write_table(table, path)
    with pytest.raises(BadInput, match="file-001.parquet: has no column 'timestamp'"):
        import_dataset(source, tmp_path / "e")


def test_a_dataset_of_ours_keeps_its_columns_and_units(tmp_path: Path) -> None:
    units = {"state_units": ["rad"] * 6 + ["m"]}
    ours = write_tiny(tmp_path / "s", 2, metadata=units)
    import_dataset(tmp_path / "s", tmp_path / "d")
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.labels == ours.info.labels
    assert dataset.info.metadata["state_units"] == units["state_units"]


def test_a_csv_file_whose_stamps_or_frames_jump(tmp_path: Path) -> None:
    for index, name in enumerate(("a", "b")):
        test_clips.clip(tmp_path / f"s/{name}.mp4", index, steps=40)
        lines = ["timestamp,state.elbow [deg],action.push"]
        for t in range(12):
            lines.append(f"{50 + t / 10 + (JUMP[t] if name == 'b' else 0)},{10 * t},0.{t}")
        (tmp_path / f"s/{name}.csv").write_text("\n".join(lines))
    import_dataset(tmp_path / "s", tmp_path / "d", task="x")
    (gap,) = found_in(tmp_path / "d", "gap")
    assert (gap.channel, str(gap.places[0])) == ("source.timestamp", "episode 1, steps 6-7")
    info = Dataset.open(tmp_path / "d").info
    assert info.state_names == ("elbow [deg]",) and info.metadata["state_units"] == ["deg"]


def test_frame_numbers_of_a_csv_file_tell_what_was_dropped(tmp_path: Path) -> None:
    test_clips.clip(tmp_path / "s/a.mp4", steps=12)
    lines = ["frame,state.x,action.push"]
    lines += [f"{t + 3 * (t >= 5)},{t},0.{t}" for t in range(12)]
    (tmp_path / "s/a.csv").write_text("\n".join(lines))
    import_dataset(tmp_path / "s", tmp_path / "d", task="x")
    (gap,) = found_in(tmp_path / "d", "gap")
    assert str(gap.places[0]) == "episode 0, steps 4-5" and "about 3 steps missing" in gap.what
    (tmp_path / "s/a.csv").write_text("\n".join(line.replace(",", ".png,", 1) for line in lines[1:]))
    (tmp_path / "s/a.csv").write_text(lines[0] + "\n" + (tmp_path / "s/a.csv").read_text())
    import_dataset(tmp_path / "s", tmp_path / "e", task="x")
    assert not found_in(tmp_path / "e", "gap")


@pytest.mark.parametrize("key", ["timestamps", "infos/time"])
def test_a_d4rl_file_whose_stamps_jump(tmp_path: Path, key: str) -> None:
    stamps = 1.7e9 + np.arange(12) / 10 + JUMP
    path = test_d4rl.write(tmp_path / "x.hdf5", **{key: stamps})
    with h5py.File(path, "a") as file:
        file["observations"].attrs["units"] = "m"
        file["actions"].attrs["unit"] = ["m/s", "rad/s"]
    report = import_dataset(path, tmp_path / "d", task="x")
    assert not any("timestamps" in note for note in report.notes)
    dataset = Dataset.open(tmp_path / "d")
    (gap,) = found_in(tmp_path / "d", "gap")
    assert gap.channel == ("source.timestamps" if key == "timestamps" else "infos.time")
    assert str(gap.places[0]) == "episode 1, steps 1-2"
    assert dataset.info.metadata["state_units"] == ["m"] * 3
    assert dataset.info.metadata["action_units"] == ["m/s", "rad/s"]


def test_a_robomimic_file_whose_stamps_jump(tmp_path: Path) -> None:
    path = files.robomimic(tmp_path / "x.hdf5", pictures=False)
    regular = np.arange(files.STEPS) / 20
    with h5py.File(path, "a") as file:
        file["data/demo_0/timestamp"] = regular
        file["data/demo_1/timestamp"] = regular + JUMP[4 : 4 + files.STEPS]
        file["data/demo_0/obs/eef"].attrs["units"] = "m"
    import_dataset(path, tmp_path / "d", task="x")
    (gap,) = found_in(tmp_path / "d", "gap")
    assert (gap.channel, str(gap.places[0])) == ("source.timestamp", "episode 1, steps 2-3")
    dataset = Dataset.open(tmp_path / "d")
    told = dict(zip(dataset.info.state_names, dataset.info.metadata["state_units"], strict=True))
    assert told["eef_0"] == "m" and told["gripper_0"] == ""


@pytest.mark.parametrize("kind", ["hdf5", "arrow"])
def test_a_minari_data_set_whose_stamps_jump(tmp_path: Path, kind: str) -> None:
    stamps = np.arange(files.STEPS + 1) / 10
    late = stamps + JUMP[4 : 5 + files.STEPS]
    if kind == "hdf5":
        root = files.minari(tmp_path / "s")
        with h5py.File(root / "data/main_data.hdf5", "a") as file:
            file["episode_0/infos/sim_time/time"], file["episode_0/infos/time"] = stamps, stamps
            file["episode_1/infos/time"] = late
    else:
        root = test_minari.arrow(tmp_path / "s", "parquet")
        for index, values in enumerate((stamps, late)):
            (path,) = (root / f"data/{index}").glob("*.parquet")
            table = pq.read_table(path)
            infos = table.column("infos").combine_chunks()
            names = [field.name for field in infos.type]
            columns = [infos.field(name) for name in names]
            more = pa.StructArray.from_arrays([*columns, pa.array(values)], [*names, "time"])
            pq.write_table(table.set_column(table.column_names.index("infos"), "infos", more), path)
    import_dataset(root, tmp_path / "d", task="x")
    (gap,) = found_in(tmp_path / "d", "gap")
    assert (gap.channel, str(gap.places[0])) == ("source.time", "episode 1, steps 2-3")


@pytest.mark.parametrize("kind", ["d4rl", "robomimic", "minari"])
def test_units_survive_a_round_trip(tmp_path: Path, kind: str) -> None:
    units = {"state_units": ["rad"] * 6 + ["m"], "action_units": ["N"] * 4}
    ours = write_tiny(tmp_path / "s", 2, metadata=units)
    out = tmp_path / ("out" if kind == "minari" else "out.hdf5")
    export_dataset(ours, out, kind)
    import_dataset(out, tmp_path / "d")
    metadata = Dataset.open(tmp_path / "d").info.metadata
    assert {name: metadata[name] for name in units} == units


def test_wrong_units_are_found_by_what_the_source_says(tmp_path: Path) -> None:
    path = test_d4rl.write(tmp_path / "x.hdf5", observations=np.random.default_rng(0).normal(0, 90, (12, 3)))
    with h5py.File(path, "a") as file:
        file["observations"].attrs["units"] = "rad"
    import_dataset(path, tmp_path / "d", task="x")
    (wrong,) = found_in(tmp_path / "d", "units")
    assert wrong.level == "warning" and "in rad looks like degrees" in wrong.what
