"""Practice without resets over real DDS: the supervisor tells the policy, records, and asks for help."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import Trigger

from robot_rl.deploy.graph import NodeSpec
from robot_rl.deploy.weights_ledger import WeightsLedger
from tests.deploy.line_world import GOALS
from tests.ros.line_robot import RATE, LineRobot, line_checkpoint, line_contract, queue, write_config
from tests.ros.probe import domain, kill, running, wait_for, write_contract


@contextmanager
def practising(folder, changes=None, **config):
    """Guard, policy and supervisor around a robot on a line; the weights are given, nobody learns."""
    run, number = line_checkpoint(folder / "run"), domain()
    out = run / "tuned"
    write_config(out, run, **config)
    WeightsLedger(out).publish(0, lambda path: shutil.copytree(run, path, ignore=lambda *_: ["tuned"]))
    contract = {"contract": write_contract(line_contract(**changes or {}), folder)}
    shared = contract | {"policy": str(run)}
    specs = [
        NodeSpec("guard_node", contract | {"auto_enable": True}),
        NodeSpec("policy_node", shared | {"instructed": True}, respawn=True),
        NodeSpec("supervisor_node", shared | {"out": str(out), "auto_enable": True}, respawn=True),
    ]
    with running(specs, number, folder / "logs") as processes:
        robot = LineRobot(number)
        with robot.living():
            yield robot, processes, out
        robot.close()


def stored(out):
    return [step for _, step in queue(out).read(limit=10**5)]


def test_it_changes_the_task_on_success_and_time_out_waits_for_help_and_lets_a_person_take_over(tmp_path):
    with practising(tmp_path, practice_tries=2, practice_perturbations=0) as (robot, _, out):
        wait_for(lambda: robot.state.get("right/success", 0) >= 1 and robot.state["left/success"] >= 1)
        robot.walls = (-0.2, 1.0)  # left cannot be reached any more
        wait_for(lambda: robot.state["left/time_outs"] >= 1)
        wait_for(lambda: "left fails again and again: set the scene right" in robot.helps[-1])
        wait_for(lambda: robot.instructions[-1]["mode"] == "wait")
        wait_for(lambda: robot.state["mode"] == "wait")
        count, place = robot.state["stored"], robot.x.copy()
        waited = robot.state["robot_minutes"]
        wait_for(lambda: len(robot.versions) > 0)
        before = len(robot.versions)
        wait_for(lambda: len(robot.versions) > before + RATE)  # the policy goes on wishing: to stand still
        assert robot.x == place and robot.state["stored"] == count
        assert robot.state["robot_minutes"] == waited
        robot.walls = (-1.0, 1.0)
        assert robot.probe.ask("supervisor_node/resume", Trigger).success
        successes = robot.state["left/success"]
        wait_for(lambda: robot.state["left/success"] > successes)
        wait_for(lambda: robot.helps[-1] == "")

        def push():
            robot.probe.publish("teleop/hold", Bool(data=True))
            robot.probe.publish("teleop/command", Float64MultiArray(data=[0.125]))

        with robot.probe.publishing(RATE, push):  # a person takes over
            wait_for(lambda: robot.state["intervention_steps"] > 5)
        robot.probe.say("teleop/hold", Bool(data=False))
        count = robot.state["stored"]
        wait_for(lambda: robot.state["stored"] > count + 10)
        assert robot.state["interventions"] == 1
    steps = stored(out)
    ends = [step.ended for step in steps if step.ended]
    assert "success" in ends and ends.count("time_out") >= 2
    person = {round(float(step.action[0]), 4) for step in steps if step.intervention}
    assert 0.125 in person and person <= {0.125, 0.0}
    tasks = {step.task for step in steps}
    assert tasks == {"right", "left"}
    for step in steps:  # the policy's observation names the task
        assert step.observation[1:].tolist() == [float(step.task == "right"), float(step.task == "left")]
    # The action led there, and the reward is of that, but where a busy machine was late; the alignment itself
    # is tested in simulated time (test_remote_practice).
    free = [step for step in steps if min(step.observation[0], step.next_observation[0]) > 0]
    led = [abs(s.observation[0] + 0.2 * s.action[0] - s.next_observation[0]) < 1e-3 for s in free]
    judged = [abs(s.reward + abs(s.next_observation[0] - GOALS[s.task])) < 1e-3 for s in free]
    assert sum(led) >= 3 and sum(judged) >= 3


def test_nothing_is_lost_where_policy_judge_and_supervisor_die(tmp_path):
    with practising(tmp_path) as (robot, processes, out):
        for name in ("policy_node", "supervisor_node"):
            wait_for(lambda: robot.state.get("stored", 0) > 5)
            told = robot.state["stored"]
            kill(processes, name)
            assert queue(out).count() >= told
            assert processes.restart() == [name]
            wait_for(lambda told=told: robot.state["stored"] > told + 20, 60)
        robot.judging = False  # as where reward_node was killed
        wait_for(lambda: robot.instructions[-1]["mode"] == "wait")
        count = robot.state["stored"]
        robot.judging = True
        wait_for(lambda: robot.state["stored"] > count + 10)
    ids = [id_ for id_, _ in queue(out).read(limit=10**5)]
    assert ids == list(range(1, len(ids) + 1)) and len(ids) > 50


CAMERA = {"side": {"topic": "image", "rate": RATE, "stale": 1.0}}


def test_a_simulation_that_pictures_judge_has_its_resets_counted_and_its_tries_filmed(tmp_path):
    with practising(tmp_path, {"simulated": "drawer_open", "cameras": CAMERA}) as (robot, _, out):
        for world, resets in (("a", 1), ("a", 1), ("b", 2)):
            told = {"return": 5.0, "reached": True, "world": world}
            robot.probe.say("sim/episode", String(data=json.dumps(told)))
            wait_for(lambda resets=resets: robot.state.get("resets") == resets)
        picture = Image(height=8, width=8, encoding="rgb8", step=24, data=bytes(8 * 24))
        with robot.probe.publishing(RATE, lambda: robot.probe.publish("image", picture)):
            wait_for(lambda: [*(out / "film").glob("*.left.success.png")])
    assert all(step.reward <= 0 for step in stored(out))  # rewards are of those who judge, as before
