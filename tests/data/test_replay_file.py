"""Transitions in a file are those in memory, whatever the chunks, and are refused where they cannot be."""

import dataclasses
import errno
import os

import numpy as np
import pytest

from robot_rl.data import replay_file as module
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.replay_file import replay_file
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_episode, make_writer, write_tiny


def rows_in_memory(dataset, column="next.reward"):
    t = transitions_from_dataset(dataset, column)
    scalars = [t.rewards[:, None], t.masks[:, None]]
    return np.concatenate([t.next_observations, t.observations, t.actions, *scalars], 1)


@pytest.fixture
def half_known(tmp_path):
    """Episodes with a final observation or without, terminated or not."""
    writer = make_writer(tmp_path / "d")
    for i in range(5):
        episode = make_episode(i)
        writer.write(i, episode if i < 2 else dataclasses.replace(episode, final_observation=None))
    writer.close()
    return Dataset.open(tmp_path / "d")


@pytest.mark.parametrize("chunk", [1, 5, 12, 13, 1000])
def test_the_rows_are_those_in_memory(half_known, monkeypatch, tmp_path, chunk):
    monkeypatch.setenv("ROBOT_RL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "CHUNK", chunk)
    heard = []
    file = replay_file(half_known, progress=heard.append)
    np.testing.assert_array_equal(file.rows, rows_in_memory(half_known))
    assert file.counts.tolist() == [12, 12, 11, 12, 11] and len(file) == sum(heard) == 58
    assert isinstance(file.rows, np.memmap) and (file.state_size, file.action_size) == (7, 4)
    np.testing.assert_array_equal(file.actions, transitions_from_dataset(half_known).actions)
    first = file.first(3)
    assert len(first) == 35 and np.array_equal(first.rows, file.rows[:35])
    assert sum(len(part) for part in file.chunks()) == 58


def test_it_is_written_once(tiny_dataset, monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOT_RL_CACHE", str(tmp_path / "cache"))
    replay_file(tiny_dataset)
    heard = []
    again, without = replay_file(tiny_dataset, progress=heard.append), replay_file(tiny_dataset, None)
    assert not heard and again.source != without.source
    assert again.rows[:, -2].any() and not without.rows[:, -2].any()
    assert len(list((tmp_path / "cache/replay").iterdir())) == 2


def test_what_cannot_be_written_is_said(tiny_dataset, monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOT_RL_CACHE", str(tmp_path / "cache"))
    full = type("Full", (), {"f_bavail": 1, "f_frsize": 512})
    space = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(BadInput, match=r"the transitions take 0.0 GB, 0.0 GB are free; make room"):
        replay_file(tiny_dataset)
    monkeypatch.setattr(os, "statvfs", space)

    def fail(*args):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(module.np.lib.format, "open_memmap", fail)
    with pytest.raises(BadInput, match="the transitions cannot be written"):
        replay_file(tiny_dataset)
    assert not list((tmp_path / "cache/replay").iterdir())


def test_columns_in_parts_are_whole_columns(tmp_path):
    dataset = write_tiny(tmp_path / "d")
    parts = list(dataset.iter_columns(["action", "next.reward"], 10))
    assert [len(part[0]) for part in parts] == [10, 10, 10, 10, 8]
    for k, name in enumerate(("action", "next.reward")):
        np.testing.assert_array_equal(np.concatenate([part[k] for part in parts]), dataset.column(name))
