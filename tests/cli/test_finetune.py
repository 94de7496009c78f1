"""`robot-rl finetune` on drawer_open for a few steps: what it writes, how it continues, what it refuses."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from robot_rl.cli.main import main
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.learners.describe import describe_policy
from robot_rl.learners.train import TrainConfig, train
from robot_rl.policies.policy import MlpPolicy

FEW = ["--episodes", "1", "--eval-every", "30", "--log-every", "10", "--batch-size", "8", "--warmup", "0"]


@pytest.fixture(scope="module")
def offline(collected, tmp_path_factory):
    """A run of a few updates on the collected episodes, with the config.yaml that `robot-rl train` leaves."""
    pytest.importorskip("metaworld")
    out, dataset = tmp_path_factory.mktemp("offline") / "run", Dataset.open(collected)
    transitions = transitions_from_dataset(dataset)
    description = describe_policy(dataset, transitions.actions, "next.reward")
    train(transitions, out, TrainConfig(steps=20, batch_size=8, hidden=(8,)), description=description)
    (out / "config.yaml").write_text(f"dataset: {collected}\nholdout: 0.0\n")
    return out


def lines(out):
    return [json.loads(line) for line in (out / "online.jsonl").read_text().splitlines()]


def test_it_continues_a_run_and_leaves_it_as_it_was(offline, tmp_path, capsys):
    out, before = tmp_path / "on", (offline / "weights.safetensors").read_bytes()
    args = ["finetune", str(offline), "--out", str(out), *FEW]
    assert main([*args, "--steps", "40"]) == 0
    told = capsys.readouterr()
    assert "before: success " in told.out and f"policy: {out}" in told.out and "40/40 steps" in told.err
    assert (offline / "weights.safetensors").read_bytes() == before
    head, *rows = lines(out)
    assert head["description"] | {"offline_weights": ""} == {
        "offline_weights": "", "task": "drawer_open", "reward": "true"
    }  # fmt: skip
    assert [row["step"] for row in rows if "eval_success" in row] == [0, 30, 40]
    assert [row["updates"] for row in rows if "updates" in row] == [30, 40, 50, 60]
    assert "<svg" in (out / "learning_curve.svg").read_text()
    for folder in (out, out / "best"):
        assert MlpPolicy.load(folder).spec.task == "drawer_open"
    assert load_file(out / "experience/part-000000000.safetensors")["actions"].shape == (40, 4)
    assert main([*args, "--steps", "45"]) == 0
    assert lines(out)[1:-2] == rows and load_file(out / "state/state.safetensors")["step"] == 45


def test_several_seeds(offline, tmp_path, capsys):
    out = tmp_path / "on"
    args = ["finetune", str(offline), "--out", str(out), *FEW, "--steps", "10", "--seeds", "2"]
    assert main(args) == 0
    assert "interquartile mean over 2 seeds: success" in capsys.readouterr().out
    actions = [load_file(out / f"seed-{k}/experience/part-000000000.safetensors")["actions"] for k in (0, 1)]
    assert not np.array_equal(*actions)
    assert (out / "learning_curve.svg").exists()


def test_the_learned_reward_is_the_one_of_labeling(offline, collected, tiny_judge, tmp_path):
    from robot_rl.cli.finetune import learned_reward
    from robot_rl.envs.make import make_task
    from robot_rl.specs.tasks import load_task

    labeled = tmp_path / "labeled"
    args = ["label", str(collected), "--task", "drawer_open", "--out", str(labeled), "--pairs", "60"]
    assert main([*args, "--labeler", "oracle", "--store", str(tmp_path / "labels.sqlite")]) == 0
    env = make_task(load_task("drawer_open"))
    env.reset(seed=0)
    reward = learned_reward(labeled, env)
    first = reward()
    for _ in range(20):
        env.step(np.float32([1, 1, -1, 0]))
    assert np.isfinite(first) and reward() != first
    env.reset(seed=0)
    assert reward() == pytest.approx(first, abs=1e-4)  # of what is seen, whatever came before
    env.close()
    out = tmp_path / "on"
    args = ["finetune", str(offline), "--out", str(out), *FEW, "--steps", "5", "--reward", str(labeled)]
    assert main(args) == 0
    got = load_file(out / "experience/part-000000000.safetensors")["rewards"]
    assert np.isfinite(got).all() and len(set(got.tolist())) > 1


def test_mistakes_are_one_line(offline, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(offline, bare, ignore=shutil.ignore_patterns("state", "config.yaml", "online"))
    dataless = tmp_path / "dataless"
    shutil.copytree(offline, dataless, ignore=shutil.ignore_patterns("config.yaml", "online"))
    for run, more, told in (
        (bare, [], "has no state/state.safetensors"),
        (dataless, [], "--data: is missing; "),
        (offline, ["--mix", "3"], "mix must lie in 0 to 1"),
        (offline, ["--task", "drawer_opn"], "drawer_open"),
        (offline, ["--data-reward", "reward.mean"], "has no column 'reward.mean'"),
        (offline, ["--reward", str(tmp_path)], "is no labeling with a reward model"),
        (offline, ["--episodes", "0"], "--episodes: must be at least 1"),
        (tmp_path / "none", [], "policy.json cannot be read"),
    ):
        assert main(["finetune", str(run), "--out", str(tmp_path / "on"), *FEW, "--steps", "5", *more]) == 2
        error = capsys.readouterr().err
        assert told in error and error.startswith("robot-rl finetune: ") and error.count("\n") == 1, error
    assert not (tmp_path / "on").exists()
