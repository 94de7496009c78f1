"""Learning from a file gives what learning from memory gives."""

import numpy as np
import pytest
import torch

from robot_rl.cli.main import main
from robot_rl.data import replay_file as module
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.replay_file import replay_file
from robot_rl.errors import BadInput
from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.describe import describe_policy
from robot_rl.learners.file_table import FileTable
from robot_rl.learners.prepare import prepare
from robot_rl.learners.train import TrainConfig, train

FEW = TrainConfig("iql", steps=10, batch_size=8, hidden=(8, 8))


def both(dataset, limits):
    """The same transitions, prepared in memory and in a file."""
    transitions = transitions_from_dataset(dataset)
    description = describe_policy(dataset, transitions.actions, "next.reward", limits)
    return prepare(transitions, description), prepare(replay_file(dataset), description), description


@pytest.mark.parametrize("limits", ["unit", "data"])
def test_batches_are_those_of_memory(tiny_dataset, monkeypatch, limits):
    monkeypatch.setattr(module, "CHUNK", 7)
    memory, file, _ = both(tiny_dataset, limits)
    np.testing.assert_allclose(file.state_mean, memory.state_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(file.state_std, memory.state_std, rtol=1e-5)
    assert file.reward_mean == pytest.approx(memory.reward_mean, rel=1e-6)
    assert file.reward_std == pytest.approx(memory.reward_std, rel=1e-6)
    indices = torch.tensor([40, 3, 11, 47])
    mine = FileTable(file.transitions, file.scaler).rows(indices)
    theirs = TransitionTable(memory.transitions).rows(indices)
    for name, one, other in zip(mine._fields, mine, theirs, strict=True):
        assert (one is None) == (other is None), name
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_actions_beyond_the_limits_are_clipped_and_counted(tiny_dataset):
    description = describe_policy(tiny_dataset, np.ones((1, 4)), "next.reward", "unit")
    narrow = description.model_copy(update={"action_low": (-0.5,) * 4, "action_high": (0.5,) * 4})
    prepared, file = (
        prepare(t, narrow) for t in (transitions_from_dataset(tiny_dataset), replay_file(tiny_dataset))
    )
    assert file.clipped_actions == prepared.clipped_actions > 10
    batch = FileTable(file.transitions, file.scaler).rows(torch.arange(48))
    assert (
        float(batch.actions.abs().max()) == pytest.approx(1, abs=1e-4)
        and float(batch.actions.abs().max()) < 1
    )
    assert torch.equal(batch.observations_actions[:, 7:], batch.actions)


def test_a_run_from_the_file_is_that_from_memory(tiny_dataset, tmp_path):
    base = ["train", str(tiny_dataset.root), "--steps", "20", "--hidden", "8", "8", "--batch-size", "16"]
    base += ["--holdout", "0.25"]
    assert main([*base, "--out", str(tmp_path / "memory")]) == 0
    assert main([*base, "--out", str(tmp_path / "file"), "--on-disk"]) == 0
    from safetensors.numpy import load_file

    mine, theirs = (load_file(tmp_path / name / "weights.safetensors") for name in ("file", "memory"))
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-4)


def test_what_needs_whole_episodes_is_refused(tiny_dataset, tmp_path, capsys):
    _, file, description = both(tiny_dataset, "unit")
    for change in ({"algorithm": "calql"}, {"n_step": 2}):
        config = TrainConfig(**{"algorithm": "iql", "steps": 10, **change})
        with pytest.raises(BadInput, match="transitions on disk serve iql, bc and rlpd with n_step 1"):
            train(file.transitions, tmp_path / str(change), config, description=description)
    args = [
        "train",
        str(tiny_dataset.root),
        "--out",
        str(tmp_path / "r"),
        "--on-disk",
        "--observe",
        "joint_1",
    ]
    assert main(args) == 2
    assert "--on-disk: holds whole states" in capsys.readouterr().err
