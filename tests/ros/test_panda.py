"""A simulated Panda over real DDS: a scripted policy reaches for the cube and lifts it, the guard between."""

import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
pytest.importorskip("robosuite", reason="robosuite is not installed (extra robosuite)")
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from robot_rl.deploy.graph import NodeSpec
from robot_rl.deploy.pictures import picture_of
from robot_rl.specs.robot_contract import load_contract
from tests.ros.probe import Probe, domain, running, wait_for

ABOVE, NEAR = 0.08, 0.012  # m
GAIN = 6.0  # 1/s, of a distance that is still to go
CLOSING = 12  # periods


class Script:
    """Over the cube, down, close, up: a policy in the place of policy_node."""

    def __init__(self, probe: Probe) -> None:
        self.probe, self.contract = probe, load_contract("sim_panda")
        self.hand = self.cube = None  # (3,) m
        self.closed, self.nearest = 0, np.inf
        probe.node.create_subscription(PoseStamped, "cube_pose", self.saw_cube, 1)
        probe.node.create_subscription(PoseStamped, "hand_pose", self.act, 1)

    def saw_cube(self, message: PoseStamped) -> None:
        self.cube = place(message)

    def act(self, message: PoseStamped) -> None:
        self.hand = place(message)
        if self.cube is None:
            return
        way = self.cube - self.hand
        self.nearest = min(self.nearest, float(np.linalg.norm(way)))
        self.closed += self.closed > 0 or self.nearest < NEAR
        if self.closed > CLOSING:
            way = np.array([0.0, 0.0, 0.1])
        elif not self.closed and np.linalg.norm(way[:2]) > NEAR:
            way = way + (0.0, 0.0, ABOVE)
        speed = np.clip(GAIN * way, -0.25, 0.25)  # m/s
        values = [*(speed / 0.25), 0.0, 0.0, 0.0, 1.0 if self.closed else -1.0]
        wish = JointState(name=list(self.contract.channels()), position=np.clip(values, -1, 1).tolist())
        wish.header.stamp = self.probe.node.get_clock().now().to_msg()
        self.probe.publish("policy/wish", wish)


def place(message: PoseStamped) -> np.ndarray:
    point = message.pose.position
    return np.array([point.x, point.y, point.z])


def test_a_scripted_policy_reaches_the_cube_and_lifts_it(tmp_path):
    number, heard = domain(), {"twists": [], "joints": [], "pictures": [], "episode": []}
    contract = {"contract": "sim_panda"}
    specs = [
        NodeSpec("sim_robot_node", contract | {"seed": 3, "watched": True}),
        NodeSpec("guard_node", contract | {"auto_enable": True}),
    ]
    with running(specs, number, tmp_path / "logs"):
        probe = Probe(number)
        for kind, topic, found in (
            (TwistStamped, "servo_node/delta_twist_cmds", "twists"),
            (JointState, "joint_states", "joints"),
            (String, "sim/episode", "episode"),
        ):
            probe.node.create_subscription(kind, topic, heard[found].append, 1)
        probe.node.create_subscription(
            Image, "camera/image", heard["pictures"].append, qos_profile_sensor_data
        )
        script = Script(probe)
        wait_for(lambda: heard["episode"] and json.loads(heard["episode"][-1].data)["success"], 60)
        wait_for(lambda: heard["pictures"])
        probe.close()
    assert script.nearest < NEAR
    assert {message.header.frame_id for message in heard["twists"]} == {"world"}
    speeds = np.array([[m.twist.linear.x, m.twist.linear.y, m.twist.linear.z] for m in heard["twists"]])
    assert np.abs(speeds).max() <= 0.25
    joints = heard["joints"][-1]
    assert joints.name == ["panda_finger_joint1", *(f"panda_joint{k}" for k in range(1, 8))]
    angles = np.array([message.position[1:] for message in heard["joints"]])
    assert (np.ptp(angles, axis=0) > 0.01).sum() >= 3  # an arm that moved
    assert picture_of(heard["pictures"][-1]).shape == (64, 64, 3)
