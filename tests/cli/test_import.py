"""`robot-rl import` prints what it understood, and refuses what it cannot with one line."""

import h5py
import numpy as np
import pytest

from robot_rl.cli.import_ import parse_size
from robot_rl.cli.main import main
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput


@pytest.fixture
def hdf5(tmp_path):
    """Two episodes of 5 and 7 steps as D4RL writes them."""
    path = tmp_path / "door.hdf5"
    ends = np.zeros(12, bool)
    ends[[4, 11]] = True
    with h5py.File(path, "w") as file:
        file["observations"] = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
        file["actions"] = np.zeros((12, 2), np.float32)
        file["rewards"] = np.arange(12, dtype=np.float32)
        file["terminals"], file["timeouts"] = np.zeros(12, bool), ends
    return path


def test_import_prints_fields_rates_and_tasks(hdf5, tmp_path, capsys):
    out = tmp_path / "door"
    args = ["import", str(hdf5), str(out), "--task", "open the door", "--fps", "25"]
    assert main(args) == 0
    told = capsys.readouterr()
    assert f"{out}: 2 episodes, " in told.out and "at 25 Hz" in told.out and "task: open the door" in told.out
    assert any(line.split()[:3] == ["observation.state", "float32", "3"] for line in told.out.splitlines())
    assert "ends: 0 terminated, 0 with the observation after the last action" in told.out
    assert "import: 2/2 episodes" in told.err
    assert len(Dataset.open(out)) == 2


def test_a_source_that_is_none_is_one_line(tmp_path, capsys):
    assert main(["import", str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert (
        error.startswith("robot-rl import: ") and "nothing does not exist" in error and error.count("\n") == 1
    )
    assert main(["import", str(tmp_path), str(tmp_path / "out"), "--episodes", "0"]) == 2
    assert "--episodes must be at least 1, not 0" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_line(hdf5, capsys):
    assert main(["import", str(hdf5), "/proc/nowhere/door", "--task", "open the door"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "/proc/nowhere/door: its folder cannot be made there" in told


def test_a_broken_episode_is_told_with_both_ways_out(hdf5, tmp_path, capsys):
    with h5py.File(hdf5, "a") as file:
        file["observations"][7, 1] = np.nan
    args = ["import", str(hdf5), str(tmp_path / "door"), "--task", "open the door"]
    assert main(args) == 2
    told = capsys.readouterr().err
    assert "holds nan at step 2, element 1" in told and "leave such episodes out (--on-bad skip)" in told
    assert main([*args, "--on-bad", "skip"]) == 0
    assert "note: episode 1 skipped" in capsys.readouterr().out


def test_sizes():
    assert parse_size(None) is None
    assert parse_size("96x128") == (96, 128)
    for wrong in ("96", "96x", "x96", "95x96", "0x0", "96x128x3", "-2x4"):
        with pytest.raises(BadInput, match="--resize must be HEIGHTxWIDTH in even pixels"):
            parse_size(wrong)
