"""What a guard hears of the world: the robot's sources and cameras, and a person who takes over."""

from __future__ import annotations

import time
from functools import partial

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from robot_rl.deploy.guard import Guard
from robot_rl.deploy.interface import CommandReader, SourceReader
from robot_rl.errors import BadInput
from robot_rl_deployment import common


class Hearing:
    """Subscriptions that pass what is heard on to a guard, with the time at which it came."""

    def __init__(self, node: Node, guard: Guard) -> None:
        self._node, self._guard = node, guard
        contract, person = guard.contract, guard.contract.intervention
        for name, source in contract.sources.items():
            heard = partial(self._heard, name, SourceReader(source))
            node.create_subscription(common.message_class(source.type), source.topic, heard, common.LATEST)
        for name, camera in contract.cameras.items():
            if camera.required:  # its silence alone matters here, not its pictures
                node.create_subscription(Image, camera.topic, partial(self._seen, name), common.LATEST)
        for command in contract.commands.values():
            override = partial(self._overridden, CommandReader(command))
            topic = f"{person.prefix}/{command.topic}"
            node.create_subscription(common.message_class(command.type), topic, override, common.LATEST)
        node.create_subscription(Bool, person.hold, self._held, common.RELIABLE)

    def _heard(self, name: str, read: SourceReader, message) -> None:
        try:
            values = read(message)
        except BadInput as error:
            self._guard.misread(name, str(error))
            return
        stamp = common.stamp_of(message)
        self._guard.heard(name, values, stamp, common.wall(self._node), time.monotonic())

    def _seen(self, name: str, message: Image) -> None:
        stamp = common.stamp_of(message)
        self._guard.heard(name, {}, stamp, common.wall(self._node), time.monotonic())

    def _overridden(self, read: CommandReader, message) -> None:
        try:
            self._guard.override(read(message), time.monotonic())
        except BadInput as error:
            self._node.get_logger().warning(f"teleoperation: {error}", throttle_duration_sec=1.0)

    def _held(self, message: Bool) -> None:
        self._guard.hold(message.data, time.monotonic())
