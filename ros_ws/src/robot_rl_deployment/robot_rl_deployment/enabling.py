"""Asks the guard, as people do, to let a simulated robot that stands still go on, or to stop a robot."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract

_STILL = 2  # looks at a guard that does not move before it is reset; short stops end by themselves


class Enabling:
    """Looks at the guard's state now and then; what a person stopped stays stopped."""

    def __init__(self, node: Node, contract: RobotContract) -> None:
        if contract.hardware:
            raise BadInput(f"auto_enable: '{contract.name}' is hardware; a person enables the guard")
        self._enable = node.create_client(SetBool, "guard_node/enable")
        self._reset = node.create_client(Trigger, "guard_node/reset")
        self._state, self._looks = "", 0

    def heard(self, state: str) -> None:
        """Note the guard's state, "mode" or "mode: why"."""
        self._state, self._looks = state, 0

    def look(self) -> None:
        """Reset and enable where it has stood still for long enough."""
        self._looks += 1
        if self._looks > _STILL and self._state.startswith(("stopped", "inactive: not enabled")):
            self._reset.call_async(Trigger.Request())
            self._enable.call_async(SetBool.Request(data=True))


class Stopping:
    """Lets the guard stop the robot; `done` is, once it has."""

    def __init__(self, node: Node) -> None:
        self._node, self.done = node, Future()
        self._enable = node.create_client(SetBool, "guard_node/enable")

    def ask(self) -> None:
        """Ask for it; again and again until `done`."""
        if self._enable.service_is_ready() and not self.done.done():
            self._enable.call_async(SetBool.Request(data=False)).add_done_callback(self._answered)

    def _answered(self, answer: Future) -> None:
        if answer.result().success and not self.done.done():
            self._node.get_logger().info("all is practised and learned from; the robot is stopped")
            self.done.set_result(None)
