"""robomimic files come in with their keys, and what is broken in them is named."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from robot_rl.data.importers import import_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.data.importers.files import STEPS, demo, robomimic


def test_everything_comes_in(tmp_path: Path) -> None:
    report = import_dataset(robomimic(tmp_path / "s.hdf5"), tmp_path / "d", task="lift the cube")
    assert (report.format, report.episodes, report.frames, report.fps) == ("robomimic", 2, 2 * STEPS, 20.0)
    assert report.cameras == ("agentview_image",)
    assert any("model_file" in note for note in report.notes)
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.state_names == ("eef_0", "eef_1", "eef_2", "gripper_0", "gripper_1")
    assert dataset.info.robot_type == "Panda"
    source = dataset.info.metadata["source"]
    assert source["state_parts"] == [{"key": "eef", "shape": [3]}, {"key": "gripper", "shape": [2]}]
    assert source["env_args"]["env_name"] == "Lift"
    arrays, episode = demo(1, True), dataset.episode(1)
    state = np.concatenate([arrays["obs/eef"], arrays["obs/gripper"]], 1).astype(np.float32)
    np.testing.assert_array_equal(episode.observations["state"], state)
    np.testing.assert_array_equal(episode.observations["states"], arrays["states"].astype(np.float32))
    np.testing.assert_array_equal(episode.actions, arrays["actions"].astype(np.float32))
    assert episode.rewards.tolist() == [0, 0, 0, 0, 0, 1]
    assert [e.terminated for e in dataset] == [False, True]
    last = np.concatenate([arrays["next_obs/eef"][-1], arrays["next_obs/gripper"][-1]]).astype(np.float32)
    np.testing.assert_array_equal(episode.final_observation["state"], last)
    final = episode.final_observation["image.agentview_image"]
    np.testing.assert_array_equal(final, arrays["next_obs/agentview_image"][-1])
    assert dataset.episode(0).metadata == {"source_key": "demo_0", "filter_keys": ["train"]}
    frames = np.asarray(episode.observations["image.agentview_image"]).astype(int)
    assert np.abs(frames - arrays["obs/agentview_image"]).mean() < 12


def test_demonstrations_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False)
    with h5py.File(path, "a") as file:
        file.move("data/demo_1", "data/demo_10")
        file.copy("data/demo_0", "data/demo_2")
    import_dataset(path, tmp_path / "d", task="x")
    keys = [episode.metadata["source_key"] for episode in Dataset.open(tmp_path / "d")]
    assert keys == ["demo_0", "demo_2", "demo_10"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lang", "lift it"),
        ("ep_meta", json.dumps({"lang": "lift it"})),
    ],
)
def test_an_instruction_in_the_file_is_the_task(tmp_path: Path, name: str, value: str) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False)
    with pytest.raises(BadInput, match="no task text .its environment is 'Lift'.*--task"):
        import_dataset(path, tmp_path / "d")
    with h5py.File(path, "a") as file:
        for demonstration in file["data"].values():
            demonstration.attrs[name] = value
    import_dataset(path, tmp_path / "d")
    assert Dataset.open(tmp_path / "d").info.tasks == ("lift it",)


def test_pictures_alone_take_the_simulators_state(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5")
    with h5py.File(path, "a") as file:
        for demonstration in file["data"].values():
            for key in ("eef", "gripper"):
                del demonstration[f"obs/{key}"], demonstration[f"next_obs/{key}"]
    report = import_dataset(path, tmp_path / "d", task="x", resize=(16, 16))
    assert report.state_size == 5
    episode = Dataset.open(tmp_path / "d").episode(0)
    assert episode.observations["image.agentview_image"].shape == (STEPS, 16, 16, 3)
    assert episode.final_observation["image.agentview_image"].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actions": None}, "no array 'data/demo_1/actions'"),
        ({"actions": np.zeros((STEPS, 3))}, "demo_1.*'actions' has the shape .6, 3.*needs .4,."),
        ({"obs__eef": np.zeros((STEPS - 1, 3))}, "demo_1.*different numbers of steps.*'eef': 5"),
        ({"obs__gripper": None}, "no array 'data/demo_1/obs/gripper'"),
        ({"obs__agentview_image": np.zeros((STEPS, 8, 8), np.uint8)}, "needs 6 RGB pictures"),
        ({"rewards": np.full(STEPS, np.nan)}, "demo_1: rewards.*nan at step 0"),
        ({"obs__eef": np.array([["a"] * 3] * STEPS, "S")}, "must hold numbers"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    path = robomimic(tmp_path / "s.hdf5", **changes)
    with pytest.raises(BadInput, match=words):
        import_dataset(path, tmp_path / "d", task="x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.hdf5"]
    assert import_dataset(path, tmp_path / "d", task="x", on_bad="skip").episodes == 1


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False)
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["secret"] = np.zeros((STEPS, 4))
    with h5py.File(path, "a") as file:
        del file["data/demo_1/actions"]
        file["data/demo_1/actions"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "secret")
    with pytest.raises(BadInput, match="leads into another file"):
        import_dataset(path, tmp_path / "d", task="x")
    layout = h5py.VirtualLayout((STEPS, 4), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "secret", (STEPS, 4))
    with h5py.File(path, "a") as file:
        del file["data/demo_1/actions"]
        file["data/demo_1"].create_virtual_dataset("actions", layout)
    with pytest.raises(BadInput, match="lies in other files"):
        import_dataset(path, tmp_path / "d", task="x")


def test_an_array_that_says_it_is_huge_is_refused_unread(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "s.hdf5", pictures=False)
    with h5py.File(path, "a") as file:
        del file["data/demo_1/rewards"]
        file["data/demo_1"].create_dataset("rewards", (10**11,), "f8", chunks=(1000,))
    with pytest.raises(BadInput, match="745.1 GiB, but only 0 bytes are stored"):
        import_dataset(path, tmp_path / "d", task="x")
