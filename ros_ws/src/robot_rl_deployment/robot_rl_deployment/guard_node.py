"""The only publisher of robot commands: a `robot_rl.deploy.guard.Guard` behind topics and services.

Hears the robot's sources, the policy's wishes, a person's intervention and e-stop. Services: ~/enable
(SetBool), ~/estop and ~/reset (Trigger). It computes nothing of its own.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from robot_rl.deploy.guard import Guard, Mode, Output
from robot_rl.deploy.interface import CommandReader, CommandWriter, SourceReader, actions_of
from robot_rl.errors import BadInput
from robot_rl_deployment.common import (
    EXECUTED,
    LATCHED,
    LATEST,
    RELIABLE,
    STATE,
    WISH,
    action_message,
    contract_of,
    message_class,
    parameter,
    run,
    stamp_of,
    wall,
)


class GuardNode(Node):
    """Publishes what the guard decides, at each wish and twice a period."""

    def __init__(self) -> None:
        super().__init__("guard_node")
        self.contract = contract_of(self)
        self.guard = Guard(self.contract)
        self._auto = parameter(self, "auto_enable", False)
        if self._auto and self.contract.hardware:
            raise BadInput(f"auto_enable: '{self.contract.name}' is hardware; a person enables it (~/enable)")
        self._told: tuple = ()
        self._outputs, self._commands = [], []
        self._publish_to()
        self._listen()
        self.create_timer(self.contract.period / 2, self._tick)
        self.create_timer(1.0, self._every_second)

    def _publish_to(self) -> None:
        for command in self.contract.commands.values():
            kind = message_class(command.type)
            publisher = self.create_publisher(kind, command.topic, RELIABLE)
            self._outputs.append((publisher, kind, CommandWriter(command)))
        stop = self.contract.stop.topic
        self._damp = self.create_publisher(Bool, stop, RELIABLE) if stop else None
        self._executed = self.create_publisher(JointState, EXECUTED, RELIABLE)
        self._state = self.create_publisher(String, STATE, LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def _listen(self) -> None:
        for name, source in self.contract.sources.items():
            heard = partial(self._heard, name, SourceReader(source))
            self.create_subscription(message_class(source.type), source.topic, heard, LATEST)
        person = self.contract.intervention
        for command in self.contract.commands.values():
            override = partial(self._overridden, CommandReader(command))
            topic = f"{person.prefix}/{command.topic}"
            self.create_subscription(message_class(command.type), topic, override, LATEST)
        self.create_subscription(JointState, WISH, self._wished, RELIABLE)
        self.create_subscription(Bool, person.hold, self._held, RELIABLE)
        self.create_subscription(Bool, "estop", self._estopped, RELIABLE)
        self.create_service(SetBool, "~/enable", self._enable)
        self.create_service(Trigger, "~/estop", self._estop_service)
        self.create_service(Trigger, "~/reset", self._reset)

    def _heard(self, name: str, read: SourceReader, message) -> None:
        try:
            values = read(message)
        except BadInput as error:
            self.guard.misread(name, str(error))
            return
        self.guard.heard(name, values, stamp_of(message), wall(self), time.monotonic())

    def _wished(self, message: JointState) -> None:
        wish = dict(zip(message.name, message.position, strict=False))
        stamp = stamp_of(message) or 0.0
        self.guard.wished(wish, stamp, wall(self), time.monotonic(), message.header.frame_id)
        self._tick()

    def _overridden(self, read: CommandReader, message) -> None:
        try:
            self.guard.override(read(message), time.monotonic())
        except BadInput as error:
            self.get_logger().warning(f"teleoperation: {error}", throttle_duration_sec=1.0)

    def _held(self, message: Bool) -> None:
        self.guard.hold(message.data, time.monotonic())

    def _estopped(self, message: Bool) -> None:
        if message.data:
            self.guard.estop("from the topic 'estop'")
            self._tick()

    def _estop_service(self, _, response: Trigger.Response) -> Trigger.Response:
        self.guard.estop("from the service")
        self._tick()
        response.success, response.message = True, "stopped; reset, then enable, to go on"
        return response

    def _reset(self, _, response: Trigger.Response) -> Trigger.Response:
        self.guard.reset()
        response.success, response.message = True, "reset; enable to go on"
        return response

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            if request.data:
                self.guard.enable(wall(self), time.monotonic())
            else:
                self.guard.disable()
                self._tick()
            response.success, response.message = True, self.guard.mode.value
        except BadInput as error:
            response.success, response.message = False, str(error)
        return response

    def _tick(self) -> None:
        output = self.guard.tick(wall(self), time.monotonic())
        if output.commands is not None:
            self._send(output)
        if self._damp and (output.damp or output.commands is not None):
            self._damp.publish(Bool(data=output.damp))
        if (output.mode, output.why) != self._told:
            self._tell(output)

    def _send(self, output: Output) -> None:
        for publisher, kind, write in self._outputs:
            message = write(kind(), output.commands)
            if hasattr(message, "header"):
                message.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(message)
        executed = actions_of(self.contract, output.commands)
        self._executed.publish(action_message(self, executed, output.mode.value))

    def _tell(self, output: Output) -> None:
        self._told = (output.mode, output.why)
        text = f"{output.mode.value}: {output.why}" if output.why else output.mode.value
        if output.mode in (Mode.RUNNING, Mode.INACTIVE):
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)
        self._state.publish(String(data=text))
        self._diagnose()

    def _every_second(self) -> None:
        for publisher, _, _ in self._outputs:
            self.guard.publishers(publisher.topic_name, self.count_publishers(publisher.topic_name))
        if self._auto and self.guard.mode is Mode.INACTIVE:
            self._auto = self._tried()
        self._diagnose()

    def _tried(self) -> bool:
        """Try to enable a simulation; returns whether to try again."""
        try:
            self.guard.enable(wall(self), time.monotonic())
        except BadInput:
            return True
        return False

    def _diagnose(self) -> None:
        guard = self.guard
        level = DiagnosticStatus.OK if guard.mode in (Mode.RUNNING, Mode.INACTIVE) else DiagnosticStatus.ERROR
        level = DiagnosticStatus.WARN if guard.mode is Mode.INTERVENTION else level
        told = guard.why or "the policy's wishes pass within limits"
        found = {"mode": guard.mode.value, **vars(guard.counts)}
        diagnose(self, self._diagnostics, f"{self.contract.name}: guard", level, told, found)

    def ending(self) -> None:
        """Stop the robot before this process ends."""
        self.guard.estop("guard_node is ending")
        self._tick()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(GuardNode, args)


if __name__ == "__main__":
    sys.exit(main())
