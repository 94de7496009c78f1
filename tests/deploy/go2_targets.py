"""Plays the guard to the Go2 driver: targets, then silence; then targets again, then the stop topic."""

from __future__ import annotations

import sys
import time

import rclpy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from robot_rl.deploy.go2_low_level import MOTORS

STANCE = [0.0, 0.9, -1.8] * 4


def main() -> None:
    """Print what was done, with s of the monotonic clock, and what the driver said of the joints."""
    rclpy.init()
    node = rclpy.create_node("targets")
    targets, stop = (
        node.create_publisher(JointState, "joint_targets", 1),
        node.create_publisher(Bool, "damp", 1),
    )
    heard: list[JointState] = []
    node.create_subscription(JointState, "joint_states", heard.append, 10)
    while not (heard and targets.get_subscription_count() and stop.get_subscription_count()):
        rclpy.spin_once(node, timeout_sec=0.1)
    print(
        "joint_states", dict(zip(heard[0].name, heard[0].position, strict=True))["RL_thigh_joint"], flush=True
    )

    def move(count: int, hip: float) -> None:
        for _ in range(count):
            position = [hip, *STANCE[1:]]
            targets.publish(JointState(name=list(MOTORS), position=position))
            rclpy.spin_once(node, timeout_sec=0.02)
            time.sleep(0.02)

    move(30, 0.3)
    print("silent", time.monotonic(), flush=True)
    time.sleep(1.0)
    print("again", time.monotonic(), flush=True)
    move(20, -0.2)
    stop.publish(Bool(data=True))
    print("damp", time.monotonic(), flush=True)
    move(20, -0.2)  # not heard while it damps
    print("end", time.monotonic(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
