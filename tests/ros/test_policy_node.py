"""The policy as a process: it wishes what its weights say, and exchanges them while it runs."""

import os

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from robot_rl.deploy.control import version_of
from robot_rl.deploy.graph import NodeSpec
from tests.ros.checkpoints import axis_checkpoint
from tests.ros.probe import Probe, domain, running, wait_for, write_contract
from tests.ros.test_guard_node import RATE, contract


@pytest.fixture
def world(tmp_path):
    number, run = domain(), axis_checkpoint(tmp_path / "run", 0.25, RATE)
    parameters = {"contract": write_contract(contract(), tmp_path), "policy": str(run)}
    with running([NodeSpec("policy_node", parameters)], number, tmp_path / "logs"):
        probe, wishes = Probe(number), []
        probe.node.create_subscription(JointState, "policy/wish", wishes.append, 10)
        with probe.publishing(RATE, lambda: probe.joint("x", 0.0)):
            wait_for(lambda: wishes)
            yield probe, wishes, run
        probe.close()


def test_it_wishes_what_its_weights_say(world):
    _, wishes, run = world
    assert wishes[-1].name == ["a"] and wishes[-1].position[0] == pytest.approx(0.25, abs=1e-6)
    assert wishes[-1].header.frame_id == version_of(run) and wishes[-1].header.stamp.sec > 0


def test_new_weights_take_over_and_bad_ones_do_not(world, tmp_path):
    probe, wishes, run = world
    better = axis_checkpoint(run / "online" / "step-100", 0.5, RATE)
    probe.say("policy/new_weights", String(data=str(better)))
    wait_for(lambda: wishes[-1].position[0] == pytest.approx(0.5, abs=1e-6))
    assert wishes[-1].header.frame_id == version_of(better)

    outside = axis_checkpoint(tmp_path / "elsewhere", 0.75, RATE)
    (run / "link").symlink_to(outside)
    other_rate = axis_checkpoint(run / "slow", 0.75, RATE / 2)
    broken = axis_checkpoint(run / "broken", 0.75, RATE)
    content = bytearray((broken / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (broken / "weights.safetensors").write_bytes(content)
    log = tmp_path / "logs" / "policy_node.log"
    for folder, told in (
        (outside, "must lie inside the run's folder"),
        (run / "link", "must lie inside the run's folder"),
        (other_rate, "fps is 25 Hz"),
        (broken, "weights_hash is not that of"),
        (run / "nothing", "cannot be read"),
    ):
        before = len(wishes)
        probe.say("policy/new_weights", String(data=str(folder)))
        wait_for(lambda told=told: told in log.read_text().rpartition("refused")[2])
        wait_for(lambda before=before: len(wishes) > before + 3)
        assert wishes[-1].position[0] == pytest.approx(0.5, abs=1e-6)
        log.write_text("refused")  # so that the next line is told apart from this one


def test_at_real_time_priority_all_its_threads_are_or_it_says_why_not(tmp_path):
    run = axis_checkpoint(tmp_path / "run", 0.25, RATE)
    parameters = {"contract": write_contract(contract(), tmp_path), "policy": str(run), "realtime": True}
    with running([NodeSpec("policy_node", parameters)], domain(), tmp_path / "logs") as processes:
        pid = processes.children["policy_node"].pid

        def policies():
            return {os.sched_getscheduler(int(one)) for one in os.listdir(f"/proc/{pid}/task")}

        log = tmp_path / "logs" / "policy_node.log"
        wait_for(lambda: policies() == {os.SCHED_RR} or "realtime: not permitted" in log.read_text())


def test_a_policy_that_does_not_fit_is_refused_at_the_start(tmp_path):
    run = axis_checkpoint(tmp_path / "run", 0.25, RATE, robot="other")
    parameters = {"contract": write_contract(contract(), tmp_path), "policy": str(run)}
    with running([NodeSpec("policy_node", parameters)], domain(), tmp_path / "logs") as processes:
        assert processes.children["policy_node"].wait(60) == 2
    told = (tmp_path / "logs" / "policy_node.log").read_text()
    assert "robot is 'other', the contract says 'axis'" in told and "Traceback" not in told
