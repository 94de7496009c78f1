"""Which nodes a deployment has, in which order, and what is refused before anything starts."""

from __future__ import annotations

import importlib.util

import pytest

from robot_rl.deploy.graph import Deployment, NodeSpec, nodes
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import load_spec
from tests.deploy.pressing import pressing_policy


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


def test_fine_tuning_adds_who_decides_and_who_learns_and_starts_anew_what_was_killed(tmp_path):
    pytest.importorskip("torch")
    more = {"policy": str(tmp_path), "fine_tune": str(tmp_path / "tuned"), "explore": 0.5, "enable": True}
    found = {spec.executable: spec for spec in nodes(Deployment("sim_drawer", **more))}
    assert list(found) == ["sim_robot_node", "guard_node", "policy_node", "supervisor_node", "learner_node"]
    assert {name for name, spec in found.items() if spec.respawn} == set(list(found)[2:])
    assert found["sim_robot_node"].parameters["pair"] is True
    first = {name for name, spec in found.items() if spec.parameters.get("realtime")}
    assert first == set(list(found)[:3])  # learning comes after control
    acting = found["policy_node"].parameters
    assert acting["explore"] == 0.5 and acting["instructed"] is True
    supervisor = found["supervisor_node"].parameters
    assert supervisor["simulated"] and supervisor["auto_enable"]
    assert found["learner_node"].parameters["out"] == str(tmp_path / "tuned") == supervisor["out"]


def classifiers(folder, *names):
    """Folders that look like success classifiers, with a colon between."""
    for name in names:
        (folder / name).mkdir()
        (folder / name / "success.json").write_text("{}")
    return ":".join(str(folder / name) for name in names)


def test_on_hardware_success_classifiers_judge_and_a_person_enables(tmp_path):
    pytest.importorskip("torch")
    run = pressing_policy(tmp_path / "run")
    more = {"policy": str(run), "fine_tune": str(run / "tuned")}
    both, one = classifiers(tmp_path, "open", "close"), str(tmp_path / "open")
    found = {spec.executable: spec for spec in nodes(Deployment("ur5e_servo", **more, success=both))}
    judge = found["reward_node"]
    assert judge.parameters["success"] == both and judge.respawn
    assert judge.parameters["forward"] == load_spec(run).task
    supervisor = found["supervisor_node"].parameters
    assert supervisor["by_success"] is True and not {"simulated", "auto_enable"} & set(supervisor)
    (tmp_path / "label" / "reward").mkdir(parents=True)
    twice = ":".join([str(tmp_path / "label")] * 2)
    rewarded = nodes(Deployment("ur5e_servo", **more, success=both, reward=twice))
    assert not any("by_success" in spec.parameters for spec in rewarded)
    for changes, told in (
        ({}, "success: to fine-tune 'ur5e_servo', success classifiers of the task and of its reverse"),
        ({"success": one}, "success: needs a folder for the task and one for its reverse, not 1"),
        ({"success": both, "fine_tune": str(tmp_path)}, "fine_tune: .* must lie inside the run's folder"),
        ({"success": both, "fine_tune": str(run)}, "fine_tune: .* must lie inside the run's folder"),
    ):
        with pytest.raises(BadInput, match=told):
            nodes(Deployment("ur5e_servo", **more | changes))
    with pytest.raises(BadInput, match="explore: must be at least 0, not -1"):
        nodes(Deployment("sim_drawer", **more, explore=-1.0))
    with pytest.raises(BadInput, match="trials, fine_tune: choose one"):
        nodes(Deployment("sim_drawer", **more, trials=2, results="x"))


def test_without_fine_tuning_one_classifier_judges(tmp_path):
    with pytest.raises(BadInput, match="success: needs one folder, not 2"):
        graph(success=classifiers(tmp_path, "open", "close"))


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


@pytest.mark.parametrize(
    ("robot", "module", "extra"),
    [
        ("sim_panda", "robosuite", "robosuite"),
        ("sim_drawer", "metaworld", "sim"),
        ("sim_go2", "mujoco", "sim"),
    ],
)
def test_a_simulator_that_is_not_installed_is_named_with_its_extra(robot, module, extra, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == module else found(name, *more)
    )
    with pytest.raises(BadInput, match=rf'^module \'{module}\' is not .*pip install "robot-rl\[{extra}\]"$'):
        graph(robot)


def test_a_finished_recording_is_not_written_over(tmp_path):
    pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
    (tmp_path / "dataset").mkdir()
    with pytest.raises(BadInput, match="already holds a recording"):
        graph(record=str(tmp_path))
