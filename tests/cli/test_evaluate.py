"""`robot-rl evaluate --data`: a policy judged by recorded episodes, and what it refuses."""

import json

import numpy as np
import pytest

from robot_rl.cli.main import main
from robot_rl.policies.policy import MlpPolicy
from tests.conftest import write_tiny

FEW = ("--steps", "20", "--hidden", "8", "8", "--batch-size", "16")


@pytest.fixture
def run(tiny_dataset, tmp_path, capsys):
    """A policy that was trained without the last of 4 episodes."""
    out = tmp_path / "run"
    args = ["train", str(tiny_dataset.root), "--out", str(out), "--holdout", "0.25", "--discount", "0.5"]
    assert main([*args, *FEW]) == 0
    capsys.readouterr()
    return out


def evaluate(*args):
    return main(["evaluate", *map(str, args)])


def told(run):
    return json.loads((run / "ope.json").read_text())


def test_value_and_action_error_of_what_was_kept_aside(run, tiny_dataset, capsys):
    pytest.importorskip("d3rlpy")
    assert evaluate(run, "--data", tiny_dataset.root, "--fqe-steps", 200) == 0
    out = capsys.readouterr()
    assert "1 of 4 episodes" in out.out and "kept aside in training" in out.out and "600/600" in out.err
    value, error = told(run)["value"], told(run)["action_error"]
    assert told(run)["episodes"] == [3, 3] and told(run)["held_out"]
    # Rewards 0, 1/11, ..., 1 standardised, discounted by the policy's own .5: sum of .5^t (t - 5.5) / std.
    rewards = np.arange(12)
    expected = (0.5**rewards * (rewards - 5.5)).sum() / rewards.std()
    assert value["data_return"] == pytest.approx(expected, abs=1e-3) and value["discount"] == 0.5
    assert value["tail"] == 0 and value["episodes"] == 1 and len(value["values"]) == 3  # it terminated
    assert value["mean"] == pytest.approx(np.mean(value["values"])) and value["plausible"]
    states, actions = (tiny_dataset.column(name)[36:] for name in ("observation.state", "action"))
    rms = np.sqrt(np.square(MlpPolicy.load(run).act(states) - actions).mean(0))
    np.testing.assert_allclose([part["rms"] for part in error["actions"]], rms, rtol=1e-5)


def test_the_share_can_be_chosen(run, tiny_dataset, tmp_path, capsys):
    actions_only = ("--fqe-steps", 0)
    assert evaluate(run, "--data", tiny_dataset.root, "--holdout", "0.5", *actions_only) == 0
    assert "2 of 4 episodes" in capsys.readouterr().out
    assert told(run)["episodes"] == [2, 3] and not told(run)["held_out"] and told(run)["value"] is None
    other = write_tiny(tmp_path / "other", 2)
    assert evaluate(run, "--data", other.root, *actions_only) == 0
    assert told(run)["episodes"] == [0, 1] and told(run)["held_out"]  # it was not trained on any of these


def test_mistakes_are_one_line(run, tiny_dataset, tmp_path, capsys):
    data = ("--data", tiny_dataset.root)
    other = write_tiny(tmp_path / "names", 2, state_names=[f"other_{i}" for i in range(7)])
    for args, line in (
        ((run, "--data", other.root), "policy.json: state_names is ['joint_0'"),
        ((run, *data, "--reward", "next.rewar"), "has no column 'next.rewar' of rewards"),
        ((run, *data, "--fqe-steps", "-1"), "--fqe-steps: must be at least 0, not -1"),
        ((run, *data, "--holdout", "2"), "--holdout must be a share of the episodes"),
        ((run, "--data", tmp_path / "none"), str(tmp_path / "none")),
        ((tmp_path / "none", *data), "policy.json cannot be read"),
    ):
        assert evaluate(*args) == 2
        error = capsys.readouterr().err
        assert line in error and error.count("\n") == 1, error
    assert not (run / "ope.json").exists()
