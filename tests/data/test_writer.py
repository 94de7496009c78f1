"""What is written comes back, whoever writes it and whenever they are killed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data import layout
from robot_rl.data.checksums import SUMS, read_checksums, verify
from robot_rl.data.consolidate import Limits
from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_episode, make_writer, write_tiny

ROOT = Path(__file__).parents[2]


def same(a: np.ndarray | None, b: np.ndarray | None) -> None:
    np.testing.assert_array_equal(a, b)
    assert a is None or a.dtype == b.dtype


def test_round_trip_loses_nothing(tmp_path: Path) -> None:
    episodes = []
    for i in range(3):
        base = make_episode(i)
        effort = np.full((12, 1), i, np.float32)
        episodes.append(
            dataclasses.replace(
                base,
                observations={**base.observations, "effort": effort},
                final_observation=base.final_observation if i else None,
                labels={"reward.mean": base.rewards * 2, "reward": base.rewards * 3},
                task=f"task {i % 2}",
                metadata={"nested": {"a": [1, 2.5]}, "array": np.arange(3)},
            )
        )
    writer = make_writer(tmp_path / "d", labels=["reward.mean", "reward"], vectors={"effort": ["gripper"]})
    for i, episode in enumerate(episodes):
        writer.write(i, episode)
    writer.close()
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.metadata == {"note": "synthetic"}
    assert dataset.info.robot_type == "toy"
    assert dataset.info.tasks == ("task 0", "task 1")
    for before, after in zip(episodes, dataset, strict=True):
        for name in ("actions", "rewards", "success"):
            same(getattr(before, name), getattr(after, name))
        for name in ("state", "effort"):
            same(before.observations[name], after.observations[name])
        for name in before.labels:
            same(before.labels[name], after.labels[name])
        assert (before.task, before.terminated, before.fps) == (after.task, after.terminated, after.fps)
        assert after.metadata == {"nested": {"a": [1, 2.5]}, "array": [0, 1, 2]}
        assert (before.final_observation is None) == (after.final_observation is None)
        for name, value in (before.final_observation or {}).items():
            same(value, after.final_observation[name])
        frames = np.asarray(after.observations["image.front"]).astype(float)
        error = frames - before.observations["image.front"]
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 30


def test_a_copied_dataset_keeps_its_pictures_exactly(tiny_dataset: Dataset, tmp_path: Path) -> None:
    writer = make_writer(tmp_path / "copy")
    for i, episode in enumerate(tiny_dataset):
        writer.write(i, episode)
    writer.close()
    every = np.arange(48)
    same(Dataset.open(tmp_path / "copy").frames("front", every), tiny_dataset.frames("front", every))


def test_small_limits_make_several_files(tmp_path: Path) -> None:
    one = write_tiny(tmp_path / "one")
    many = write_tiny(tmp_path / "many", limits=Limits(data_mb=0.001, video_mb=0.0001))
    assert len(many.data_files) > 1
    assert len(many.camera("front").files()) == 4
    same(one.column("observation.state"), many.column("observation.state"))
    same(one.frames("front", np.arange(48)), many.frames("front", np.arange(48)))


def test_the_same_episodes_make_the_same_dataset(tmp_path: Path) -> None:
    assert write_tiny(tmp_path / "a").content_hash == write_tiny(tmp_path / "b").content_hash
    assert write_tiny(tmp_path / "c", episodes=3).content_hash != Dataset.open(tmp_path / "a").content_hash


def test_gaps_close_up(tmp_path: Path) -> None:
    writer = make_writer(tmp_path / "d")
    for index in (5, 2):
        writer.write(index, make_episode(index))
    writer.close()
    assert [e.metadata["seed"] for e in Dataset.open(tmp_path / "d")] == [2, 5]


def test_an_unfinished_dataset_says_so_and_resumes(tmp_path: Path) -> None:
    writer = make_writer(tmp_path / "d")
    writer.write(0, make_episode(0))
    with pytest.raises(BadInput, match="unfinished: 1 episodes.*run the same command again"):
        Dataset.open(tmp_path / "d")
    again = make_writer(tmp_path / "d")
    assert again.closed_indices() == {0}
    with pytest.raises(BadInput, match="episode 0.*already written"):
        again.write(0, make_episode(0))
    again.write(1, make_episode(1))
    again.close()
    assert len(Dataset.open(tmp_path / "d")) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d"]


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    make_writer(tmp_path / "d")
    with pytest.raises(BadInput, match="fps = 10.0, not 20.0"):
        make_writer(tmp_path / "d", fps=20)


def test_folders_in_use_are_refused(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="already holds a finished dataset"):
        make_writer(tiny_dataset.root)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="something else"):
        make_writer(tmp_path / "other")
    (tmp_path / "e.staging").mkdir()
    (tmp_path / "e.staging/notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="something else"):
        make_writer(tmp_path / "e")
    (tmp_path / "empty").mkdir()
    assert len(write_tiny(tmp_path / "empty", 1)) == 1


def test_closing_without_episodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no episode"):
        make_writer(tmp_path / "d").close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fps": -1}, "fps is -1"),
        ({"cameras": {"front": (33, 32)}}, "camera 'front'.*even"),
        ({"cameras": {"../front": (32, 32)}}, "not allowed"),
        ({"labels": ["next.reward"]}, "column of the format itself"),
        ({"labels": ["observation.x"]}, "column of the format itself"),
        ({"labels": ["a/b"]}, "not allowed"),
        ({"vectors": {"state": ["a"]}}, "reserved"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        make_writer(tmp_path / "d", **settings)


NO_PICTURES = {"state": make_episode(0).observations["state"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fps": 20.0}, "fps is 20.0"),
        ({"actions": np.zeros((12, 3), np.float32)}, "3 parts"),
        ({"labels": {"x": np.zeros(12, np.float32)}}, "labels"),
        ({"rewards": None}, "lacks 'next.reward'"),
        ({"observations": NO_PICTURES, "final_observation": None}, "image.front"),
        ({"metadata": {"x": object()}}, "metadata cannot be written"),
        ({"rewards": np.full(12, np.nan, np.float32)}, "rewards holds nan at step 0"),
    ],
)
def test_episodes_that_do_not_fit_leave_nothing_behind(tmp_path: Path, changes: dict, words: str) -> None:
    writer = make_writer(tmp_path / "d")
    writer.write(0, make_episode(0))
    with pytest.raises(BadInput, match=words):
        writer.write(1, dataclasses.replace(make_episode(1), **changes))
    assert sorted(p.name for p in writer.staging.iterdir()) == ["episode-000000", "writer.json"]


WRITE = """
import sys
from pathlib import Path
from tests.conftest import make_episode, make_writer
writer = make_writer(Path(sys.argv[1]))
for index in range(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])):
    if index not in writer.closed_indices():
        writer.write(index, make_episode(index))
"""


def start(path: Path, *numbers: int) -> subprocess.Popen:
    arguments = [sys.executable, "-c", WRITE, str(path), *map(str, numbers)]
    return subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_a_killed_writer_loses_nothing_closed(tmp_path: Path) -> None:
    path = tmp_path / "d"
    process = start(path, 0, 100_000, 1)
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("d.staging/episode-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    writer = make_writer(path)
    closed = writer.closed_indices()
    assert closed == set(range(len(closed)))
    assert len(closed) >= 3
    writer.write(len(closed), make_episode(len(closed)))
    writer.close()
    dataset = Dataset.open(path)
    assert len(dataset) == len(closed) + 1
    for index, episode in enumerate(dataset):
        same(episode.actions, make_episode(index).actions)
        assert episode.observations["image.front"][11].shape == (32, 32, 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d"]


def test_what_a_killed_close_left_is_removed(tmp_path: Path) -> None:
    half = tmp_path / ".d.building-0123abcd"
    half.mkdir()
    (tmp_path / ".d.building-notes").mkdir()
    assert len(write_tiny(tmp_path / "d", 1)) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [".d.building-notes", "d"]


def test_two_processes_write_one_dataset(tmp_path: Path) -> None:
    processes = [start(tmp_path / "d", first, 6, 2) for first in (0, 1)]
    assert [p.wait(60) for p in processes] == [0, 0]
    make_writer(tmp_path / "d").close()
    dataset = Dataset.open(tmp_path / "d")
    assert [e.metadata["seed"] for e in dataset] == list(range(6))


def test_meta_files_have_the_layout_of_v3(tiny_dataset: Dataset) -> None:
    info = json.loads((tiny_dataset.root / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == 10 and isinstance(info["fps"], int)
    assert info["splits"] == {"train": "0:4"}
    assert info["features"]["action"] == {"dtype": "float32", "shape": [4], "names": ["x", "y", "z", "grip"]}
    assert info["features"]["observation.images.front"]["info"]["video.codec"] == "h264"
    stats = json.loads((tiny_dataset.root / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"])
    states = tiny_dataset.column("observation.state").astype(np.float64)
    np.testing.assert_allclose(stats["observation.state"]["mean"], states.mean(0), atol=1e-9)
    np.testing.assert_allclose(stats["observation.state"]["std"], states.std(0), atol=1e-9)
    assert stats["observation.state"]["count"] == [48]
    image = np.array(stats["observation.images.front"]["mean"])
    assert image.shape == (3, 1, 1)
    assert 0 <= image.min() <= image.max() <= 1


def test_episodes_written_together_are_as_those_written_one_by_one(tmp_path: Path) -> None:
    episodes = {}
    for index in range(5):
        whole = make_episode(index, steps=6 + index)
        final = {"state": whole.final_observation["state"]} if index % 2 else None
        changes = {"observations": {"state": whole.observations["state"]}, "final_observation": final}
        episodes[index] = replace(whole, **changes)
    one, many = (make_writer(tmp_path / name, cameras={}) for name in ("one", "many"))
    for index, episode in episodes.items():
        one.write(index, episode)
    many.write_many({i: episodes[i] for i in (0, 1, 2)})
    many.write(3, episodes[3])
    again = make_writer(tmp_path / "many", cameras={})
    assert again.closed_indices() == {0, 1, 2, 3}
    again.write_many({4: episodes[4]})
    one.close(), again.close()
    a, b = Dataset.open(tmp_path / "one"), Dataset.open(tmp_path / "many")
    for name in a.info.features:
        np.testing.assert_array_equal(a.column(name), b.column(name))
    np.testing.assert_array_equal(a.final_states(), b.final_states())
    assert layout.read_json(a.root / layout.STATS) == layout.read_json(b.root / layout.STATS)
    assert a.raw == b.raw and sorted(p.name for p in tmp_path.iterdir()) == ["many", "one"]


def test_episodes_written_together_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has cameras; write its episodes one by one"):
        make_writer(tmp_path / "a").write_many({0: make_episode(0)})
    writer = make_writer(tmp_path / "b", cameras={})
    bare = {"observations": {"state": make_episode(0).observations["state"]}, "final_observation": None}
    episode = replace(make_episode(0), **bare)
    wrong = replace(episode, actions=episode.actions[:, :3])
    with pytest.raises(BadInput, match="episode 1: actions have 3 parts"):
        writer.write_many({0: episode, 1: wrong})
    assert writer.closed_indices() == set()
    writer.write_many({0: episode, 1: episode})
    writer.write(1, episode)
    with pytest.raises(BadInput, match="episode 1 is in episode-000001 and in group-000000-000001"):
        writer.close()


def test_a_dataset_says_what_its_files_should_be(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "d", 2).root
    sums = read_checksums(root)
    assert set(sums) == {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} - {SUMS}
    assert sums["meta/info.json"] == hashlib.sha256((root / "meta/info.json").read_bytes()).hexdigest()
    verify(root)
    labeled = relabel(Dataset.open(root), tmp_path / "e", {"next.reward": np.zeros(24, np.float32)})
    verify(labeled.root)
    (labeled.root / "meta/info.json").write_text("{}")
    with pytest.raises(BadInput, match="info.json differs from its checksum"):
        verify(labeled.root)
