"""`robot-rl train`: a dataset in, a checkpoint and an action error out; real recordings where they are."""

import json

import numpy as np
import pytest
import yaml

from robot_rl.cli.main import main
from robot_rl.cli.train import count_kept
from robot_rl.errors import BadInput
from robot_rl.policies.policy import MlpPolicy
from tests.conftest import write_tiny
from tests.data.real import real

FEW = ["--steps", "20", "--hidden", "8", "8", "--batch-size", "16"]


@pytest.mark.parametrize("algo", ["iql", "bc", "calql", "rlpd"])
def test_a_policy_comes_out(tiny_dataset, tmp_path, capsys, algo):
    out = tmp_path / "run"
    args = ["train", str(tiny_dataset.root), "--out", str(out), "--algo", algo, "--holdout", "0.1", *FEW]
    assert main(args) == 0
    told = capsys.readouterr()
    assert "3 of 4 episodes to learn from, 36 transitions" in told.out and f"policy: {out}" in told.out
    assert "20/20 updates" in told.err
    error = json.loads((out / "action_error.json").read_text())
    assert error["episodes"] == [3] and error["steps"] == 12 and error["rms_in_std"] > 0
    assert [action["name"] for action in error["actions"]] == ["x", "y", "z", "grip"]
    assert yaml.safe_load((out / "config.yaml").read_text())["algo"] == algo
    policy = MlpPolicy.load(out)
    assert policy.spec.reward_source == ("" if algo == "bc" else "next.reward")
    states, actions = (tiny_dataset.column(name)[36:] for name in ("observation.state", "action"))
    rms = np.sqrt(np.square(policy.act(states) - actions).mean(0))
    np.testing.assert_allclose([action["rms"] for action in error["actions"]], rms, rtol=1e-5)


def test_an_algorithm_s_own_settings_reach_it(tiny_dataset, tmp_path):
    run = ["train", str(tiny_dataset.root), "--algo", "rlpd", *FEW]
    for name, value in (("two", "2"), ("three", "3")):
        assert main([*run, "--out", str(tmp_path / name), "--settings", "critics", value, "utd", "1"]) == 0
    heads = [json.loads((tmp_path / n / "train.jsonl").open().readline()) for n in ("two", "three")]
    assert [head["config"]["settings"] for head in heads] == [{"critics": c, "utd": 1} for c in (2, 3)]
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("two", "three")]
    assert weights[0] != weights[1]


def test_several_seeds_are_summed_up(tiny_dataset, tmp_path, capsys):
    out = tmp_path / "runs"
    run = ["train", str(tiny_dataset.root), "--out", str(out), "--holdout", "0.25", "--seeds", "2", *FEW]
    assert main(run) == 0
    errors = [json.loads((out / f"seed-{s}" / "action_error.json").read_text())["rms_in_std"] for s in (0, 1)]
    assert errors[0] != errors[1]
    told = capsys.readouterr().out
    assert "interquartile mean over 2 seeds: action error" in told
    assert main(run) == 0  # finished runs rest


def test_the_saved_config_repeats_the_run(tiny_dataset, tmp_path):
    out = tmp_path / "run"
    assert main(["train", str(tiny_dataset.root), "--out", str(out), *FEW]) == 0
    before = (out / "policy.json").stat().st_mtime_ns
    assert main(["train", "--config", str(out / "config.yaml")]) == 0
    assert (out / "policy.json").stat().st_mtime_ns == before
    again = tmp_path / "again"
    assert main(["train", "--config", str(out / "config.yaml"), "--out", str(again)]) == 0
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (out, again)]
    assert weights[0] == weights[1]


def test_mistakes_are_one_line(tiny_dataset, tmp_path, capsys):
    run = ["train", str(tiny_dataset.root), "--out", str(tmp_path / "run"), *FEW]
    for more, told in (
        (["--reward", "reward.mean"], "has no column 'reward.mean' of rewards."),
        (["--holdout", "1"], "--holdout must be a share of the episodes"),
        (["--steps", "0"], "steps must be above 0, not 0"),
        (["--settings", "cql_alpha", "1"], "settings: iql has no 'cql_alpha'"),
        (["--algo", "calql", "--n-step", "3"], "n_step must be 1 for calql"),
        (["--seeds", "2"], "--seeds: needs --holdout"),
    ):
        assert main([*run, *more]) == 2
        error = capsys.readouterr().err
        assert told in error and error.startswith("robot-rl train: ") and error.count("\n") == 1


def test_actions_beyond_the_limits_are_told(tmp_path, capsys):
    ds = write_tiny(tmp_path / "unit", metadata={"action_units": ["1"] * 4})
    # The largest of 48 x 4 uniform actions is within ±1: nothing is clipped, and the limits are ±1.
    assert main(["train", str(ds.root), "--out", str(tmp_path / "run"), *FEW]) == 0
    assert "clipped" not in capsys.readouterr().out
    assert MlpPolicy.load(tmp_path / "run").spec.action_high == (1, 1, 1, 1)


def test_the_last_episodes_are_kept_aside():
    assert [count_kept(share, 25) for share in (0, 0.01, 0.1, 0.5)] == [25, 24, 23, 13]
    with pytest.raises(BadInput, match="leaves none to learn from"):
        count_kept(0.9, 1)


def test_adroit_door(tmp_path, capsys):
    source, data, out = real("door_human") / "door_human.hdf5", tmp_path / "door", tmp_path / "run"
    assert main(["import", str(source), str(data), "--task", "open the door"]) == 0
    args = ["train", str(data), "--out", str(out), "--steps", "300", "--holdout", "0.1"]
    assert main(args) == 0
    assert json.loads((out / "action_error.json").read_text())["rms_in_std"] < 0.9
    spec = MlpPolicy.load(out).spec
    assert max(spec.action_high) > 1  # recorded actions go beyond ±1, and nothing was cut off
    assert "clipped" not in capsys.readouterr().out
    assert main(["train", str(data), "--out", str(tmp_path / "unit"), "--action-limits", "unit", *FEW]) == 0
    assert "have actions clipped to the limits" in capsys.readouterr().out


def test_unitree_g1(tmp_path, capsys):
    source, data, out = real("g1_bottle_lerobot_v21"), tmp_path / "g1", tmp_path / "run"
    assert main(["import", str(source), str(data)]) == 0
    assert main(["train", str(data), "--out", str(out)]) == 2
    assert "has no column 'next.reward' of rewards" in capsys.readouterr().err
    args = ["train", str(data), "--out", str(out), "--algo", "bc", "--steps", "500", "--holdout", "0.1"]
    assert main(args) == 0
    error = json.loads((out / "action_error.json").read_text())
    assert len(error["actions"]) == 26 and error["rms_in_std"] < 0.9


def test_an_algorithm_of_d3rlpy(tiny_dataset, tmp_path, capsys):
    pytest.importorskip("d3rlpy")
    out = tmp_path / "run"
    args = ["train", str(tiny_dataset.root), "--out", str(out), "--holdout", "0.1", *FEW]
    assert main([*args, "--algo", "d3rlpy:cql"]) == 0
    told = capsys.readouterr()
    assert f"policy: {out}" in told.out and "20/20 updates" in told.err and "action error" in told.out
    assert "Gym has been" not in told.err
    assert MlpPolicy.load(out).spec.algorithm == "d3rlpy:cql"
    assert json.loads((out / "train.jsonl").read_text().splitlines()[-1])["step"] == 20
    plas = tmp_path / "plas"
    assert main(["train", str(tiny_dataset.root), "--out", str(plas), "--algo", "d3rlpy:plas", *FEW]) == 0
    assert "no policy: the actor of d3rlpy:plas is not one tanh network" in capsys.readouterr().out
    assert (plas / "d3rlpy.safetensors").exists() and not (plas / "policy.json").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("iqll", "--algo: no algorithm 'iqll'. Did you mean 'iql'"),
        ("d3rlpy:cqll", "no algorithm 'd3rlpy:cqll'. Did you mean 'd3rlpy:cql'"),
    ],
)
def test_an_unknown_algorithm_is_one_line(tiny_dataset, tmp_path, capsys, name, told):
    if name.startswith("d3rlpy"):
        pytest.importorskip("d3rlpy")
    assert main(["train", str(tiny_dataset.root), "--out", str(tmp_path / "run"), "--algo", name]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1 and not (tmp_path / "run").exists()
