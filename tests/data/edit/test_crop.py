"""Cropping by hand: which steps, which final observation, which pixels; what a rewritten dataset keeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.edit import Crop, crop_episode, rewrite
from robot_rl.data.edit.crop import check_box
from robot_rl.data.episode import validate_episode
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from robot_rl.errors import BadInput
from tests.conftest import make_episode


def test_in_time() -> None:
    old = make_episode(1)  # terminates
    new = crop_episode(old, Crop(3, -2))
    validate_episode(new, "new")
    assert len(new) == 7 and not new.terminated
    for key in old.observations:
        np.testing.assert_array_equal(np.asarray(new.observations[key]), old.observations[key][3:10])
        np.testing.assert_array_equal(new.final_observation[key], old.observations[key][10])
    np.testing.assert_array_equal(new.actions, old.actions[3:10])
    np.testing.assert_array_equal(new.rewards, old.rewards[3:10])


def test_the_end_stays_the_end() -> None:
    old = make_episode(1)
    new = crop_episode(old, Crop(first=4))
    assert new.terminated and len(new) == 8
    np.testing.assert_array_equal(new.final_observation["state"], old.final_observation["state"])


def test_pictures() -> None:
    old = make_episode(0)
    new = crop_episode(old, Crop(stop=5, boxes={"front": (2, 4, 10, 20)}))
    cut = np.asarray(new.observations["image.front"])
    np.testing.assert_array_equal(cut, old.observations["image.front"][:5, 2:12, 4:24])
    np.testing.assert_array_equal(
        new.final_observation["image.front"], old.observations["image.front"][5, 2:12, 4:24]
    )
    whole = crop_episode(old, Crop(boxes={"front": (2, 4, 10, 20)}))
    np.testing.assert_array_equal(
        whole.final_observation["image.front"], old.final_observation["image.front"][2:12, 4:24]
    )


def test_what_leaves_nothing_is_named() -> None:
    with pytest.raises(BadInput, match="here: steps 11 to 12 of 12"):
        crop_episode(make_episode(0), Crop(first=11), "here")
    for box in ((-2, 0, 4, 4), (30, 0, 4, 4), (0, 0, 4, 34)):
        with pytest.raises(BadInput, match="leave the 32x32 of camera 'front'"):
            check_box(box, (32, 32), "front")
    check_box((0, 0, 32, 32), (32, 32), "front")


def cut(episode, where):
    return crop_episode(episode, Crop(4, 8), where)


def test_a_rewritten_dataset_says_where_it_came_from(tiny_dataset: Dataset, tmp_path: Path) -> None:
    new = rewrite(tiny_dataset, tmp_path / "new", cut, {"operation": "crop", "arguments": {"steps": "4:8"}})
    assert new.lengths.tolist() == [4] * 4
    np.testing.assert_array_equal(new.episode(2).actions, tiny_dataset.episode(2).actions[4:8])
    # The cut begins at a key frame and ends at one, so the pictures are the very same.
    np.testing.assert_array_equal(
        np.asarray(new.episode(2).observations["image.front"]),
        tiny_dataset.episode(2).observations["image.front"][4:8],
    )
    told = json.loads((new.root / "meta/robot_rl.json").read_text())["provenance"]
    assert told["operation"] == "crop" and told["source_hash"] == tiny_dataset.content_hash
    assert told["arguments"] == {"steps": "4:8"} and told["name"] == "tiny"
    assert new.info.metadata == tiny_dataset.info.metadata


def test_an_error_leaves_nothing_and_an_interruption_goes_on(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(kind, at):
        def change(episode, where):
            if where.endswith(f"episode {at}"):
                raise kind("stop")
            return cut(episode, where)

        return change

    with pytest.raises(BadInput):
        rewrite(tiny_dataset, tmp_path / "new", fail(BadInput, 2), {})
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]
    with pytest.raises(KeyboardInterrupt):
        rewrite(tiny_dataset, tmp_path / "new", fail(KeyboardInterrupt, 2), {})
    with pytest.raises(BadInput, match="provenance"):
        rewrite(tiny_dataset, tmp_path / "new", cut, {"operation": "another"})
    written = []
    real = DatasetWriter.write
    monkeypatch.setattr(
        DatasetWriter, "write", lambda self, i, episode: (written.append(i), real(self, i, episode))
    )
    new = rewrite(tiny_dataset, tmp_path / "new", cut, {})
    assert written == [2, 3] and len(new) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "tiny"]
