"""Which nodes a deployment has, in which order, and what is refused before anything starts."""

from __future__ import annotations

import pytest

from robot_rl.deploy.graph import Deployment, NodeSpec, nodes
from robot_rl.errors import BadInput


def graph(robot: str = "sim_drawer", **more: object) -> dict[str, NodeSpec]:
    return {spec.executable: spec for spec in nodes(Deployment(robot=robot, policy="run", **more))}


def test_the_guard_comes_before_the_policy_and_the_robot_before_both():
    assert list(graph()) == ["sim_robot_node", "guard_node", "policy_node"]
    assert list(graph("panda_servo")) == ["guard_node", "policy_node"]


def test_a_recorder_hears_from_the_start_and_is_not_essential(tmp_path):
    pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
    found = graph(record=str(tmp_path / "rec"))
    assert list(found) == ["sim_robot_node", "guard_node", "recorder_node", "policy_node"]
    recorder = found["recorder_node"]
    assert not recorder.essential and recorder.patience > 60
    assert recorder.parameters["reward"] == "sim"
    assert recorder.parameters["out"] == str(tmp_path / "rec")
    assert found["sim_robot_node"].parameters["watched"] is True


def test_a_reward_model_judges_for_the_record(tmp_path):
    pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
    (tmp_path / "reward").mkdir()
    found = graph(record=str(tmp_path / "rec"), reward=str(tmp_path))
    assert found["reward_node"].parameters["model"] == str(tmp_path)
    assert not found["reward_node"].essential
    assert found["recorder_node"].parameters["reward"] == "topic"


def test_a_success_classifier_needs_no_reward_model(tmp_path):
    (tmp_path / "success.json").write_text("{}")
    found = graph(success=str(tmp_path))
    assert found["reward_node"].parameters["success"] == str(tmp_path)
    assert "model" not in found["reward_node"].parameters
    assert found["sim_robot_node"].parameters["watched"] is True


def test_hardware_without_a_reward_model_has_no_rewards(tmp_path):
    pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
    assert graph("ur5e_servo", record=str(tmp_path / "rec"))["recorder_node"].parameters["reward"] == ""


def test_a_driver_of_ours_starts_first():
    found = graph("go2", interface="eth7")
    assert list(found) == ["go2_driver_node", "guard_node", "policy_node"]
    assert found["go2_driver_node"].parameters == {"contract": "go2", "interface": "eth7"}


@pytest.mark.parametrize(
    ("robot", "more", "told"),
    [
        ("sim_drawer", {"policy": ""}, "give the folder of a run"),
        ("go2", {"enable": True}, "'go2' is hardware; a person enables it"),
        ("go2", {"trials": 3, "results": "x"}, "'go2' is not simulated"),
        ("sim_drawer", {"trials": 3}, "with a file for the results"),
        ("go2_cmd_vel", {"interface": "eth0"}, "'go2_cmd_vel' has no driver of ours"),
        ("sim_drawer", {"reward": "nothing"}, "nothing has no reward model in reward/"),
        ("sim_drawer", {"success": "nothing"}, "nothing is no success classifier"),
        ("sim_door", {}, "no robot 'sim_door'.*sim_drawer"),
    ],
)
def test_what_is_refused(robot, more, told):
    with pytest.raises(BadInput, match=told):
        nodes(Deployment(**{"robot": robot, "policy": "run", **more}))


def test_a_finished_recording_is_not_written_over(tmp_path):
    pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
    (tmp_path / "dataset").mkdir()
    with pytest.raises(BadInput, match="already holds a recording"):
        graph(record=str(tmp_path))
