"""Learning while a robot practises over real DDS: new weights reach it, and kill -9 loses no transition."""

from __future__ import annotations

import os
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
pytest.importorskip("torch")

from robot_rl.deploy.control import version_of
from robot_rl.deploy.graph import NodeSpec
from robot_rl.deploy.weights_ledger import WeightsLedger
from robot_rl.learners.train import TrainConfig, train
from tests.deploy.line_world import line_data
from tests.ros.line_robot import LineRobot, line_contract, line_description, queue, write_config
from tests.ros.probe import domain, kill, running, wait_for, write_contract

STEPS, EVERY = 300, 40  # to practise, and between new weights
NODES = ("guard_node", "policy_node", "supervisor_node", "learner_node")


@pytest.fixture
def out(tmp_path):
    settings = {"steps": 60, "batch_size": 32, "hidden": (8, 8), "discount": 0.9}
    run = train(line_data(), tmp_path / "run", TrainConfig(**settings), description=line_description())
    more = {"episodes": 1, "warmup": 10, "batch_size": 8, "save_every": 10, "practice_publish_every": EVERY}
    write_config(run / "tuned", run, steps=STEPS, **more)
    return run / "tuned"


def graph(out, folder):
    contract = {"contract": write_contract(line_contract(), folder)}
    shared = contract | {"policy": str(out.parent)}
    learning = shared | {"out": str(out)}
    return [
        NodeSpec("guard_node", contract | {"auto_enable": True}),
        NodeSpec("policy_node", shared | {"explore": 1.0, "instructed": True}, respawn=True),
        NodeSpec("supervisor_node", learning | {"auto_enable": True}, respawn=True),
        NodeSpec("learner_node", learning, respawn=True),
    ]


def test_new_weights_reach_the_policy_and_nothing_is_lost_by_kills(out, tmp_path):
    number, ledger = domain(), WeightsLedger(out)
    with running(graph(out, tmp_path), number, tmp_path / "logs") as processes:
        robot = LineRobot(number)
        with robot.living():
            wait_for(lambda: ledger.newest() and ledger.newest().number > 1, 90)
            second = version_of(ledger.folder(2))
            wait_for(lambda: second in robot.versions)
            learner = processes.children["learner_node"].pid  # it makes way for control
            assert os.sched_getscheduler(learner) == os.SCHED_BATCH
            assert len(os.sched_getaffinity(learner)) == 1
            kill(processes, "learner_node")
            told = robot.state["stored"]
            assert queue(out).count() >= told
            assert processes.restart() == ["learner_node"]
            wait_for(lambda: robot.state["stored"] > told + 10)  # the robot practises on meanwhile
            told = robot.state["stored"]
            for name in NODES:
                kill(processes, name)
            count = queue(out).count()
            assert told <= count < STEPS
        robot.close()
    number = domain()
    with running(graph(out, tmp_path), number, tmp_path / "again") as processes:
        robot = LineRobot(number)
        with robot.living():
            end = time.monotonic() + 120
            assert processes.wait(lambda: time.monotonic() < end) == 0  # all ends when all is learned
            assert processes.children["supervisor_node"].returncode == 0
            assert robot.state["mode"] == "finished" and ledger.newest().step == STEPS
            wait_for(lambda: "inactive: disabled" in robot.probe.states)  # before any node was told to end
            assert robot.probe.commands[-1][1] == 0.0
        robot.close()
    steps = queue(out).read(limit=10**5)
    assert [id_ for id_, _ in steps] == list(range(1, STEPS + 1)) and queue(out).count() == STEPS
    assert len({step.weights for _, step in steps} - {0}) > 1  # several versions acted
    learned = [version.step for version in ledger.versions()]
    assert learned[-1] == STEPS and learned == sorted(learned)
