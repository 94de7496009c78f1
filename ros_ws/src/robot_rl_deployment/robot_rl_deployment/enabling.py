"""Lets a simulated robot go on alone where it stands still: resets and enables the guard, as people would."""

from __future__ import annotations

from rclpy.node import Node
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
