"""A policy that sees, as a process over real DDS: pictures in, commands out, a stop when it sees nothing."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("cv2")
from sensor_msgs.msg import Image, JointState

from robot_rl.deploy.graph import NodeSpec
from robot_rl.specs.robot_contract import CameraTopic
from tests.deploy.seeing import seeing_checkpoint
from tests.ros.probe import Probe, domain, running, wait_for, write_contract
from tests.ros.test_guard_node import RATE, STALE, contract

AXIS = {"fps": RATE, "state_units": [""], "action_units": [""], "robot": "axis"}


def seeing_contract(camera="side"):
    side = CameraTopic(topic="camera/image", rate=RATE, stale=STALE)
    return contract().model_copy(update={"cameras": {camera: side}})


def picture(probe, red):
    """Twice as large as the policy's, blue first, as some drivers publish."""
    pixels = np.zeros((16, 16, 3), np.uint8) + np.uint8([9, 9, red])
    message = Image(height=16, width=16, encoding="bgr8", step=48, data=pixels.tobytes())
    message.header.stamp = probe.node.get_clock().now().to_msg()
    probe.publish("camera/image", message)


def test_it_acts_on_what_it_sees_and_stops_when_it_sees_nothing(tmp_path):
    number, run = domain(), seeing_checkpoint(tmp_path / "run", **AXIS)
    parameters = {"contract": write_contract(seeing_contract(), tmp_path)}
    specs = [NodeSpec("guard_node", parameters), NodeSpec("policy_node", parameters | {"policy": str(run)})]
    red = [51]  # a fifth of the brightest
    with running(specs, number, tmp_path / "logs") as processes:
        probe, wishes = Probe(number), []
        probe.node.create_subscription(JointState, "policy/wish", wishes.append, 10)
        with probe.publishing(RATE, lambda: probe.joint("x", 0.0)):
            with probe.publishing(RATE, lambda: picture(probe, red[0])):
                probe.enable()
                wait_for(lambda: probe.commands and probe.commands[-1][1] == pytest.approx(np.tanh(0.2)))
                red[0] = 102
                wait_for(lambda: probe.commands[-1][1] == pytest.approx(np.tanh(0.4)))
            wait_for(lambda: probe.commands[-1][1] == 0)  # the state is still heard
            wait_for(lambda: "the policy has been silent" in probe.states[-1])
        maps = Path(f"/proc/{processes.children['policy_node'].pid}/maps").read_text()
        probe.close()
    assert wishes and "onnxruntime" in maps and "libtorch" not in maps
    told = (tmp_path / "logs" / "policy_node.log").read_text()
    assert "no wish: camera 'side' is " in told and "Traceback" not in told


def test_a_camera_that_the_robot_lacks_is_refused_at_the_start(tmp_path):
    run = seeing_checkpoint(tmp_path / "run", **AXIS)
    parameters = {"contract": write_contract(seeing_contract("front"), tmp_path), "policy": str(run)}
    with running([NodeSpec("policy_node", parameters)], domain(), tmp_path / "logs") as processes:
        assert processes.children["policy_node"].wait(60) == 2
    told = (tmp_path / "logs" / "policy_node.log").read_text().strip()
    assert "images: no camera 'side'. Known: front" in told and "\n" not in told
