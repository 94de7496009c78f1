"""An export that is imported again is the same: arrays exactly, pictures within the codec's loss."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from robot_rl.data import layout
from robot_rl.data.exporters import FORMATS, export_dataset
from robot_rl.data.importers import import_dataset
from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_episode, make_writer, write_tiny
from tests.data.importers.files import minari, robomimic


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio in dB."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


@pytest.fixture
def labeled(tmp_path: Path) -> Dataset:
    """Three episodes with rewards, success, a label and a camera; every other one terminates."""
    tiny = write_tiny(tmp_path / "tiny", 3)
    values = np.linspace(0, 1, 36, dtype=np.float32)
    return relabel(tiny, tmp_path / "labeled", {"reward.mean": values})


@pytest.mark.parametrize("name", ["robomimic", "d4rl", "minari"])
def test_a_round_trip_is_exact_for_arrays(labeled: Dataset, tmp_path: Path, name: str) -> None:
    calls: list[tuple[int, int]] = []
    report = export_dataset(labeled, tmp_path / "out", name, lambda *n: calls.append(n))
    assert (report.format, report.episodes, report.frames) == (name, 3, 36)
    assert calls[-1] == (3, 3)
    import_dataset(tmp_path / "out", tmp_path / "back")  # neither task nor rate has to be given
    back = Dataset.open(tmp_path / "back")
    for column in (layout.STATE, layout.ACTION, layout.REWARD, layout.SUCCESS):
        np.testing.assert_array_equal(back.column(column), labeled.column(column))
    if name != "minari":
        np.testing.assert_array_equal(back.column("reward.mean"), labeled.column("reward.mean"))
    np.testing.assert_array_equal(back.final_states(), labeled.final_states())
    np.testing.assert_array_equal(back.terminated, labeled.terminated)
    np.testing.assert_array_equal(back.lengths, labeled.lengths)
    info = back.info
    assert (info.fps, info.tasks, info.robot_type) == (10.0, ("open the drawer",), "toy")
    assert (info.state_names, info.action_names) == (labeled.info.state_names, labeled.info.action_names)
    if name != "d4rl":
        ours, theirs = (np.asarray(d.episode(1).observations["image.front"]) for d in (labeled, back))
        assert psnr(theirs, ours) > 35
        last = back.episode(1).final_observation["image.front"]
        np.testing.assert_array_equal(last, labeled.episode(1).final_observation["image.front"])


@pytest.mark.parametrize("name", ["robomimic", "d4rl", "minari"])
def test_an_unknown_final_observation_stays_unknown(tmp_path: Path, name: str) -> None:
    writer = make_writer(tmp_path / "d", cameras={})
    for index in range(2):
        whole = make_episode(index)
        changes = {"observations": {"state": whole.observations["state"]}, "final_observation": None}
        if index == 1:
            changes["final_observation"] = {"state": whole.final_observation["state"]}
        writer.write(index, type(whole)(**{**whole.__dict__, **changes}))
    writer.close()
    dataset = Dataset.open(tmp_path / "d")
    export_dataset(dataset, tmp_path / "out", name)
    import_dataset(tmp_path / "out", tmp_path / "back")
    np.testing.assert_array_equal(Dataset.open(tmp_path / "back").final_states(), dataset.final_states())


def test_a_robomimic_file_comes_back_with_its_own_keys(tmp_path: Path) -> None:
    source = robomimic(tmp_path / "s.hdf5")
    import_dataset(source, tmp_path / "d", task="lift")
    export_dataset(Dataset.open(tmp_path / "d"), tmp_path / "out.hdf5", "robomimic")
    with h5py.File(source) as one, h5py.File(tmp_path / "out.hdf5") as other:
        assert other["data"].attrs["env_args"] == one["data"].attrs["env_args"]
        assert other["mask/train"][:].tolist() == [b"demo_0"]
        for key in (
            "obs/eef",
            "next_obs/eef",
            "obs/gripper",
            "next_obs/gripper",
            "states",
            "actions",
            "rewards",
        ):
            mine, theirs = other[f"data/demo_1/{key}"][:], one[f"data/demo_1/{key}"][:]
            np.testing.assert_array_equal(mine, theirs.astype(np.float32))
        key = "data/demo_1/obs/agentview_image"
        assert psnr(other[key][:], one[key][:]) > 22  # 32-pixel pictures of saturated colours in 4:2:0
        np.testing.assert_array_equal(other["data/demo_1/dones"][:], one["data/demo_1/dones"][:])


def test_a_minari_data_set_comes_back_with_its_own_spaces(tmp_path: Path) -> None:
    import_dataset(minari(tmp_path / "s"), tmp_path / "d", task="reach", fps=10)
    export_dataset(Dataset.open(tmp_path / "d"), tmp_path / "out", "minari")
    with (
        h5py.File(tmp_path / "s/data/main_data.hdf5") as one,
        h5py.File(tmp_path / "out/data/main_data.hdf5") as other,
    ):
        for key in ("arm", "goal/_index_0"):
            mine, theirs = (f[f"episode_1/observations/{key}"][:] for f in (other, one))
            np.testing.assert_array_equal(mine, theirs.astype(np.float32))
        assert other["episode_1/observations/grip"].shape == (7, 1)
    meta = layout.read_json(tmp_path / "out/data/metadata.json")
    assert meta["dataset_id"] == "toy/reach-v0"


def test_wishes_that_cannot_be_met_are_named(labeled: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no export format 'rlds'.*Known"):
        export_dataset(labeled, tmp_path / "out", "rlds")
    with pytest.raises(BadInput, match="LeRobotDataset v3 as it is"):
        export_dataset(labeled, tmp_path / "out", "lerobot")
    for name, (_, folder) in FORMATS.items():
        with pytest.raises(BadInput, match="exists already"):
            export_dataset(labeled, labeled.root, name)
        assert folder == (name == "minari")
    writer = make_writer(tmp_path / "bare", cameras={})
    whole = make_episode(0)
    bare = {
        "observations": {"state": whole.observations["state"]},
        "rewards": None,
        "final_observation": None,
    }
    writer.write(0, type(whole)(**{**whole.__dict__, **bare}))
    writer.close()
    for name in ("d4rl", "d3rlpy"):
        with pytest.raises(BadInput, match="no rewards.*robot-rl label"):
            export_dataset(Dataset.open(tmp_path / "bare"), tmp_path / "out", name)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
