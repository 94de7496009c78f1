"""Messages that go out: a guard's decisions on command and stop topics and as an action, and pictures."""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool

from robot_rl.deploy.guard import Output
from robot_rl.deploy.interface import CommandWriter, actions_of
from robot_rl.specs.robot_contract import Command, RobotContract
from robot_rl_deployment.common import EXECUTED, RELIABLE, action_message, message_class

_FLUSH = 0.2  # s


def image_message(picture: np.ndarray, frame: str, stamp: Any) -> Image:
    """An image message of a picture (H, W, 3) uint8."""
    height, width = picture.shape[:2]
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.stamp, message.header.frame_id = stamp, frame
    message.data = array.array("B", picture.tobytes())  # a list would be copied element by element
    return message


def empty(command: Command) -> Callable[[], Any]:
    """A function that makes a command topic's message, with its one point if it is a trajectory."""
    kind = message_class(command.type)
    if command.reach_in is None:
        return kind
    point = message_class("trajectory_msgs/msg/JointTrajectoryPoint")
    return lambda: kind(points=[point()])


class Outputs:
    """The publishers of one robot's commands."""

    def __init__(self, node: Node, contract: RobotContract) -> None:
        self._node, self._contract, self._commands = node, contract, []
        for command in contract.commands.values():
            publisher = node.create_publisher(message_class(command.type), command.topic, RELIABLE)
            self._commands.append((publisher, empty(command), CommandWriter(command)))
        stop = contract.stop.topic
        self._damp = node.create_publisher(Bool, stop, RELIABLE) if stop else None
        self._executed = node.create_publisher(JointState, EXECUTED, RELIABLE)

    def send(self, output: Output) -> None:
        """Publish what an output holds; nothing where it holds nothing."""
        if output.commands is not None:
            for publisher, make, write in self._commands:
                message = write(make(), output.commands)
                # A trajectory without a stamp begins when it comes; with one, a late message is dropped.
                if hasattr(message, "header") and not hasattr(message, "points"):
                    message.header.stamp = self._node.get_clock().now().to_msg()
                publisher.publish(message)
            executed = actions_of(self._contract, output.commands)
            self._executed.publish(action_message(self._node, executed, output.mode.value))
        if self._damp and (output.damp or output.commands is not None):
            self._damp.publish(Bool(data=output.damp))

    def flush(self) -> None:
        """Wait, briefly, until the last command has been received."""
        for publisher, _, _ in self._commands:
            publisher.wait_for_all_acked(Duration(seconds=_FLUSH))

    def publisher_counts(self) -> Iterator[tuple[str, int]]:
        """How many publish on each command topic, ourselves included."""
        for publisher, _, _ in self._commands:
            yield publisher.topic_name, self._node.count_publishers(publisher.topic_name)
