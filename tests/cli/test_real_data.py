"""Real recordings through label, reward, train and report; skipped where they are absent."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
from robot_rl.cli.main import main
from robot_rl.data.store import Dataset
from robot_rl.data.video import Chosen, ResizedFrames, VideoPool, WholeVideo
from robot_rl.data.video_write import Encoding, encode
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


def short_clip(source, target):
    """The clip's first 2 s at 9 Hz, 64x64 pixels: what the whole clip says in a fraction of its frames."""
    video = WholeVideo(source, VideoPool(1))
    frames = ResizedFrames(Chosen(video, np.arange(0, 180, 10)), (64, 64))
    target.parent.mkdir(exist_ok=True)
    encode(frames, target, 9.0, Encoding())


def test_dressing_clips_without_actions(tiny_judge, tmp_path, capsys):
    source, data, labeling = real("dressing_clips"), tmp_path / "data", tmp_path / "labeling"
    for number, clip in enumerate(sorted(source.glob("*.mp4"))[:3]):
        short_clip(clip, tmp_path / f"clips/{number}.mp4")
    run("import", tmp_path / "clips", data, "--task", "the arm is inside the sleeve")
    assert "a zero stands in (no_state, no_action)" in capsys.readouterr().out
    words = ("--task", "the arm is inside the sleeve", "--opposite", "the sleeve hangs beside the arm")
    run("label", data, *words, "--model", "in-domain:drawer_open", "--pairs", 60, "--out", labeling)
    assert f"next: robot-rl report {labeling}" in capsys.readouterr().out
    rewards = Dataset.open(labeling / "dataset").column("next.reward")
    assert len(rewards) == 54 and np.isfinite(rewards).all()
    args = ["train", labeling / "dataset", "--algo", "iql", "--out", tmp_path / "iql", *FEW]
    assert main([str(arg) for arg in args]) == 2
    assert "has no state and no action, only zeros" in capsys.readouterr().err
