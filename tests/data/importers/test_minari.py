"""Minari data sets come in from HDF5, Arrow and Parquet alike, and what is broken in them is named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.data.importers import import_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.video_write import encode_png
from robot_rl.errors import BadInput
from tests.data.importers.files import ACTIONS, STEPS, minari, minari_arrays, minari_metadata


def arrow(root: Path, kind: str) -> Path:
    """The same episodes as `minari`, in the other form: columns padded to the last observation."""
    minari_metadata(root, data_format=kind)
    for index in range(2):
        arrays = minari_arrays(index)
        pictures = pa.array([encode_png(frame) for frame in arrays["observations/cam"]], pa.binary())
        goal = pa.StructArray.from_arrays([_lists(arrays["observations/goal/_index_0"])], ["0"])
        parts = [_lists(arrays["observations/arm"]), pa.array(arrays["observations/grip"]), goal, pictures]
        columns = {"observations": pa.StructArray.from_arrays(parts, ["arm", "grip", "goal", "cam"])}
        columns["actions"] = _lists(np.pad(arrays["actions"], ((0, 1), (0, 0))))
        for key in ("rewards", "terminations", "truncations"):
            columns[key] = pa.array(np.pad(arrays[key], (0, 1)))
        columns["infos"] = pa.StructArray.from_arrays([pa.array(arrays["infos/success"])], ["success"])
        folder = root / f"data/{index}"
        folder.mkdir()
        (folder / "metadata.json").write_text(json.dumps({"id": index, "seed": 7 + index}))
        table = pa.table(columns)
        if kind == "parquet":
            pq.write_table(table, folder / "part-0.parquet")
        else:
            with (
                pa.OSFile(str(folder / "part-0.arrow"), "wb") as file,
                pa.ipc.new_file(file, table.schema) as w,
            ):
                w.write_table(table)
    return root


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


@pytest.mark.parametrize("kind", ["hdf5", "arrow", "parquet"])
def test_everything_comes_in(tmp_path: Path, kind: str) -> None:
    source = minari(tmp_path / "s") if kind == "hdf5" else arrow(tmp_path / "s", kind)
    report = import_dataset(source, tmp_path / "d", task="reach", fps=25)
    assert (report.format, report.episodes, report.frames, report.fps) == ("minari", 2, 2 * STEPS, 25.0)
    assert report.notes == ("observation 'words' (Text) is no numbers; not taken over",)
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.state_names == (
        "arm_0", "arm_1", "arm_2", "grip", "goal__index_0_0", "goal__index_0_1",
    )  # fmt: skip
    assert dataset.info.metadata["source"]["metadata"]["dataset_id"] == "toy/reach-v0"
    arrays, episode = minari_arrays(1), dataset.episode(1)
    parts = [arrays[f"observations/{k}"].reshape(STEPS + 1, -1) for k in ("arm", "grip", "goal/_index_0")]
    states = np.concatenate(parts, 1).astype(np.float32)
    np.testing.assert_array_equal(episode.observations["state"], states[:-1])
    np.testing.assert_array_equal(episode.final_observation["state"], states[-1])
    np.testing.assert_array_equal(episode.final_observation["image.cam"], arrays["observations/cam"][-1])
    np.testing.assert_array_equal(episode.actions, arrays["actions"])
    assert episode.rewards.tolist() == [0, 1, 2, 3, 4, 5]
    assert episode.success.tolist() == [False] * 5 + [True]
    assert [e.terminated for e in dataset] == [False, True]
    assert episode.metadata == {"source_episode": 1, "seed": 8}
    frames = np.asarray(episode.observations["image.cam"]).astype(int)
    assert np.abs(frames - arrays["observations/cam"][:-1]).mean() < 12


def test_jpeg_pictures_in_hdf5_are_decoded(tmp_path: Path) -> None:
    frames = minari_arrays(1)["observations/cam"]
    source = minari(tmp_path / "s", observations__cam=None)
    minari_metadata(tmp_path / "s", jpeg_encoding=True)
    with h5py.File(source / "data/main_data.hdf5", "a") as file:
        for index in range(2):
            group = file[f"episode_{index}/observations"]
            if "cam" in group:
                del group["cam"]
            encoded = [np.frombuffer(encode_png(frame), np.uint8) for frame in frames]
            array = group.create_dataset("cam", (len(frames),), h5py.vlen_dtype(np.uint8))
            for row, data in enumerate(encoded):
                array[row] = data
    import_dataset(source, tmp_path / "d", task="x")
    final = Dataset.open(tmp_path / "d").episode(1).final_observation["image.cam"]
    np.testing.assert_array_equal(final, frames[-1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observations__arm": None}, "episode_1: has no 'arm'"),
        ({"observations__arm": np.zeros((STEPS, 3))}, "different numbers of steps"),
        ({"actions": np.zeros((STEPS + 1, 2))}, "7 observations of 7 actions; there must be one more"),
        ({"rewards": np.zeros(STEPS - 1)}, "'rewards' has 5 values, but there are 6 actions"),
        ({"observations__cam": np.zeros((3, 32, 32, 3), np.uint8)}, "3 pictures of 6 actions"),
    ],
)
def test_a_broken_episode_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    source = minari(tmp_path / "s", **changes)
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d", task="x")
    assert import_dataset(source, tmp_path / "d", task="x", on_bad="skip").episodes == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observation_space": None}, "observation_space is not readable JSON"),
        ({"observation_space": "{"}, "observation_space is not readable JSON"),
        ({"observation_space": json.dumps({"type": "Dict"})}, "has no subspaces"),
        ({"action_space": json.dumps({**ACTIONS, "shape": [-2]})}, "must be positive numbers"),
        ({"data_format": "pickle"}, "data_format is 'pickle'; readable are hdf5, arrow and parquet"),
    ],
)
def test_broken_metadata_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    source = minari(tmp_path / "s")
    minari_metadata(source, **changes)
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d", task="x")


def test_a_space_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    space: dict[str, Any] = ACTIONS
    for _ in range(30):
        space = {"type": "Dict", "subspaces": {"a": space}}
    source = minari(tmp_path / "s")
    minari_metadata(source, observation_space=json.dumps(space))
    with pytest.raises(BadInput, match="no serialised Gymnasium space"):
        import_dataset(source, tmp_path / "d", task="x")


def test_the_task_has_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no task text .its environment is 'Reach-v0'"):
        import_dataset(minari(tmp_path / "s"), tmp_path / "d")


def test_a_truncated_arrow_file_is_named(tmp_path: Path) -> None:
    source = arrow(tmp_path / "s", "arrow")
    path = source / "data/1/part-0.arrow"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput, match="part-0.arrow is not a readable Arrow file"):
        import_dataset(source, tmp_path / "d", task="x")
    assert io.BytesIO(path.read_bytes()).read(6) == b"ARROW1"
