"""The drawer's policy through the whole graph, in real processes over DDS, against the plain environment."""

import json

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
pytest.importorskip("metaworld")
pytest.importorskip("torch")

from robot_rl.cli.main import main
from robot_rl.envs.rollout import evaluate
from robot_rl.specs.tasks import load_task
from tests.ros.probe import domain

SEEDS = range(500, 506)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawer")
    collect = ["drawer_open", "--quality", "expert", "--episodes", "16", "--no-images"]
    assert main(["collect", *collect, "--out", str(folder / "data"), "--workers", "2"]) == 0
    train = ["--algo", "bc", "--steps", "1500", "--hidden", "64", "64"]
    assert main(["train", str(folder / "data"), "--out", str(folder / "run"), *train]) == 0
    return folder / "run"


def test_success_over_ros_is_that_of_the_plain_environment(policy, monkeypatch, capsys):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain()))
    trials = ["--trials", str(len(SEEDS)), "--seed", str(SEEDS[0])]
    assert main(["deploy", "--robot", "sim_drawer", "--policy", str(policy), *trials]) == 0
    rows = json.loads((policy / "trials.json").read_text())["episodes"]
    plain = evaluate(load_task("drawer_open"), policy, SEEDS).success
    assert [row["seed"] for row in rows] == list(SEEDS)
    assert sum(row["success"] for row in rows) >= 0.95 * plain.sum() and plain.sum() >= 4
    assert "over ROS: success" in capsys.readouterr().out


def test_a_dry_run_shows_the_graph_and_starts_nothing(policy, capsys):
    assert main(["deploy", "--robot", "sim_drawer", "--policy", str(policy), "--dry-run"]) == 0
    told = capsys.readouterr().out
    for word in ("guard_node", "policy_node", "sim_robot_node", "servo/twist", "handle_z", "joint_states"):
        assert word in told
    assert not (policy / "trials.json").exists() or "over ROS" not in told


def test_bad_input_is_one_line(policy, tmp_path, capsys):
    for args, told in (
        (["--robot", "sim_drawr", "--policy", str(policy)], "Did you mean 'sim_drawer'"),
        (["--robot", "sim_drawer", "--policy", str(tmp_path)], "policy.json cannot be read"),
    ):
        assert main(["deploy", *args]) == 2
        error = capsys.readouterr().err.strip()
        assert told in error and "\n" not in error
