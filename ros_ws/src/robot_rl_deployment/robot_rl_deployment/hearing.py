"""What guard and policy hear of the world: the robot's sources and cameras, and a person who takes over."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool

from robot_rl.deploy.control import ControlStep
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


class Senses:
    """Subscriptions that fill a control step's observation; `heard` is told after each source."""

    def __init__(self, node: Node, step: ControlStep, heard: Callable[[str], None]) -> None:
        self._node, self._step, self._told = node, step, heard
        for name, source in step.contract.sources.items():
            kind, read = common.message_class(source.type), SourceReader(source)
            node.create_subscription(kind, source.topic, partial(self._heard, name, read), common.LATEST)
        for name, topic in step.eyes.topics.items():
            node.create_subscription(Image, topic, partial(self._saw, name), common.LATEST)
        node.create_subscription(JointState, common.EXECUTED, self._executed, common.RELIABLE)

    def _heard(self, name: str, read: SourceReader, message) -> None:
        try:
            self._step.state.heard(read(message))
        except BadInput as error:
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        self._told(name)

    def _saw(self, name: str, message: Image) -> None:
        stamp = common.stamp_of(message)
        self._step.eyes.saw(name, message, stamp, common.wall(self._node), time.monotonic())

    def _executed(self, message: JointState) -> None:
        self._step.executed(dict(zip(message.name, message.position, strict=False)))
