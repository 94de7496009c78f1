"""The only publisher of robot commands: a `robot_rl.deploy.guard.Guard` behind topics and services.

Hears the robot's sources, the policy's wishes, a person's intervention and e-stop. Services: ~/enable
(SetBool), ~/estop and ~/reset (Trigger). It computes nothing of its own.
"""

from __future__ import annotations

import sys
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from robot_rl.deploy.guard import Guard, Mode, Output
from robot_rl.errors import BadInput
from robot_rl_deployment import common
from robot_rl_deployment.hearing import Hearing
from robot_rl_deployment.outputs import Outputs


class GuardNode(Node):
    """Publishes what the guard decides, at each wish and twice a period."""

    def __init__(self) -> None:
        super().__init__("guard_node")
        self.contract = common.contract_of(self)
        self.guard = Guard(self.contract)
        self._auto = common.parameter(self, "auto_enable", False)
        if self._auto and self.contract.hardware:
            raise BadInput(f"auto_enable: '{self.contract.name}' is hardware; a person enables it (~/enable)")
        self._told: Mode | None = None
        self._outputs = Outputs(self, self.contract)
        self._state = self.create_publisher(String, common.STATE, common.LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._hearing = Hearing(self, self.guard)
        self.create_subscription(JointState, common.WISH, self._wished, common.RELIABLE)
        self.create_subscription(Bool, "estop", self._estopped, common.RELIABLE)
        self.create_service(SetBool, "~/enable", self._enable)
        self.create_service(Trigger, "~/estop", self._estop_service)
        self.create_service(Trigger, "~/reset", self._reset)
        self.create_timer(self.contract.period / 2, self._tick)
        self.create_timer(1.0, self._every_second)
        common.prioritise(self)

    def _wished(self, message: JointState) -> None:
        wish = dict(zip(message.name, message.position, strict=False))
        stamp = common.stamp_of(message) or 0.0
        self.guard.wished(wish, stamp, common.wall(self), time.monotonic(), message.header.frame_id)
        self._tick()

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
                self.guard.enable(common.wall(self), time.monotonic())
            else:
                self.guard.disable()
                self._tick()
            response.success, response.message = True, self.guard.mode.value
            self._auto = False  # whoever asked decides from now on
        except BadInput as error:
            response.success, response.message = False, str(error)
        return response

    def _tick(self) -> None:
        output = self.guard.tick(common.wall(self), time.monotonic())
        self._outputs.send(output)
        if output.mode is not self._told:
            self._tell(output)

    def _tell(self, output: Output) -> None:
        self._told = output.mode
        text = f"{output.mode.value}: {output.why}" if output.why else output.mode.value
        if output.mode in (Mode.RUNNING, Mode.INACTIVE):
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)
        self._state.publish(String(data=text))
        self._diagnose()

    def _every_second(self) -> None:
        for topic, count in self._outputs.publisher_counts():
            self.guard.publishers(topic, count)
        if self._auto and self.guard.mode is Mode.INACTIVE:
            self._auto = self._tried()
        self._diagnose()

    def _tried(self) -> bool:
        """Try to enable a simulation; returns whether to try again."""
        try:
            self.guard.enable(common.wall(self), time.monotonic())
        except BadInput:
            return True
        return False

    def _diagnose(self) -> None:
        guard = self.guard
        level = DiagnosticStatus.OK if guard.mode in (Mode.RUNNING, Mode.INACTIVE) else DiagnosticStatus.ERROR
        level = DiagnosticStatus.WARN if guard.mode is Mode.INTERVENTION else level
        told = guard.why or "the policy's wishes pass within limits"
        found = {"mode": guard.mode.value, **vars(guard.counts)}
        common.diagnose(self, self._diagnostics, f"{self.contract.name}: guard", level, told, found)

    def ending(self) -> None:
        """Stop the robot before this process ends."""
        self.guard.estop("guard_node is ending")
        self._tick()
        self._outputs.flush()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(GuardNode, args)


if __name__ == "__main__":
    sys.exit(main())
