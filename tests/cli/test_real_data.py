"""Real recordings through label, reward, train and report; skipped where they are absent."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
from robot_rl.cli.main import main
from robot_rl.data.store import Dataset
from tests.data.real import real

FEW = ("--steps", 20, "--batch-size", 32)


def run(*args):
    assert main([str(arg) for arg in args]) == 0


def test_a_humanoid_s_demonstrations(tiny_judge, tmp_path, capsys):
    source, data, labeling = real("g1_bottle_lerobot_v21"), tmp_path / "g1", tmp_path / "labeling"
    run("import", source, data, "--episodes", 2, "--resize", "64x64")
    words = ("--task", "the robot holds the bottle", "--opposite", "the bottle stands on the table")
    run("label", data, *words, "--model", "in-domain:drawer_open", "--pairs", 60, "--out", labeling)
    assert "these are other pictures" in capsys.readouterr().out
    labeled, before = Dataset.open(labeling / "dataset"), Dataset.open(data)
    assert len(labeled) == 2 and np.isfinite(labeled.column("next.reward")).all()
    np.testing.assert_array_equal(labeled.column("action"), before.column("action"))
    assert not before.info.has_rewards and "source.reward" not in labeled.info.labels
    found = json.loads((labeling / "label.json").read_text())
    assert "label_accuracy" not in found and found["held_out_pairs"] == 6
    for algo in ("iql", "bc"):
        policy = tmp_path / algo
        run("train", labeling / "dataset", "--algo", algo, "--out", policy, "--holdout", 0.5, *FEW)
        error = json.loads((policy / "action_error.json").read_text())
        assert error["episodes"] == [1] and error["rms_in_std"] > 0
    run("report", labeling, "--policies", tmp_path / "iql", tmp_path / "bc")
    page = (labeling / "report.html").read_text()
    assert "these are other pictures" in page and "the robot holds the bottle" in page


def test_adroit_door(tmp_path):
    source, data = real("door_human/door_human.hdf5"), tmp_path / "door"
    run("import", source, data, "--task", "open the door", "--episodes", 3)
    assert len(Dataset.open(data)) == 3
    for algo in ("iql", "bc"):
        run("train", data, "--algo", algo, "--out", tmp_path / algo, "--holdout", 0.3, *FEW)
        assert json.loads((tmp_path / algo / "action_error.json").read_text())["episodes"] == [2]
