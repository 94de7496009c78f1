"""Publishes a guard's decisions: command topics, the stop topic, and what was executed as an action."""

from __future__ import annotations

from collections.abc import Iterator

from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from robot_rl.deploy.guard import Output
from robot_rl.deploy.interface import CommandWriter, actions_of
from robot_rl.specs.robot_contract import RobotContract
from robot_rl_deployment.common import EXECUTED, RELIABLE, action_message, message_class

_FLUSH = 0.2  # s


class Outputs:
    """The publishers of one robot's commands."""

    def __init__(self, node: Node, contract: RobotContract) -> None:
        self._node, self._contract, self._commands = node, contract, []
        for command in contract.commands.values():
            kind = message_class(command.type)
            publisher = node.create_publisher(kind, command.topic, RELIABLE)
            self._commands.append((publisher, kind, CommandWriter(command)))
        stop = contract.stop.topic
        self._damp = node.create_publisher(Bool, stop, RELIABLE) if stop else None
        self._executed = node.create_publisher(JointState, EXECUTED, RELIABLE)

    def send(self, output: Output) -> None:
        """Publish what an output holds; nothing where it holds nothing."""
        if output.commands is not None:
            for publisher, kind, write in self._commands:
                message = write(kind(), output.commands)
                if hasattr(message, "header"):
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
