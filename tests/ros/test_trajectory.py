"""The contract panda_trajectory over real DDS: the guard moves a stand-in for joint_trajectory_controller."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from robot_rl.deploy.graph import NodeSpec
from robot_rl.specs.robot_contract import load_contract
from tests.ros.probe import Probe, domain, running, wait_for, write_contract
from tests.ros.trajectory_stand_in import TrajectoryStandIn

PATIENT = 0.6  # s; a busy machine must not stop the arm
START = np.array([0.0, -0.5, 0.0, -2.0, 0.0, 1.5, 0.7])  # rad
WISHED = START + np.array([0.3, 0.1, -0.2, 0.2, 0.0, -0.3, 0.05])


def contract():
    made = load_contract("panda_trajectory")
    source = made.sources["joints"].model_copy(update={"stale": PATIENT})
    stop = made.stop.model_copy(update={"resume_within": PATIENT})
    changes = {"sources": {"joints": source}, "policy_timeout": PATIENT, "stop": stop, "ramp": 0.1}
    return made.model_copy(update=changes)


def test_the_arm_is_brought_where_the_policy_wishes_and_held_there(tmp_path):
    made, number = contract(), domain()
    (command,) = made.commands.values()
    joints = [f"panda_joint{k}" for k in range(1, 8)]
    arm, rate = TrajectoryStandIn(joints, START), made.control_rate
    spec = NodeSpec("guard_node", {"contract": write_contract(made, tmp_path)})
    with running([spec], number, tmp_path / "logs"):
        probe = Probe(number)
        probe.node.create_subscription(JointTrajectory, command.topic, arm.heard, 10)

        def act() -> None:
            # As a driver may: the joints in another order than the contract's.
            measured = JointState(name=joints[::-1], position=arm.positions()[::-1].tolist())
            wish = JointState(name=list(made.channels()), position=WISHED.tolist())
            measured.header.stamp = wish.header.stamp = probe.node.get_clock().now().to_msg()
            probe.publish("joint_states", measured)
            probe.publish("policy/wish", wish)

        with probe.publishing(rate, act):
            probe.enable()
            wait_for(lambda: arm.targets and np.allclose(arm.positions(), WISHED, atol=1e-6))
            assert probe.ask("guard_node/enable", SetBool, data=False).success
        probe.close()
    limits = np.array([channel.rate_limit for channel in made.channels().values()])
    steps = np.diff([START, *arm.targets], axis=0)
    assert not arm.refused and len(arm.targets) > 0.3 / 0.5 * rate  # 0.3 rad at 0.5 rad/s
    assert (np.abs(steps) <= limits / rate + 1e-9).all()
    assert np.allclose(arm.targets[-1], WISHED, atol=1e-6)  # the last word holds it there
