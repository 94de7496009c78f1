"""Unitree's SDK for Go2's low-level interface: LowState in, LowCmd with CRC out, sport mode released.

The SDK (extra `go2`) is imported only when a bridge is made. It speaks CycloneDDS.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from robot_rl.deploy.go2_low_level import SetPoint
from robot_rl.errors import RobotRLError, need

LOW_CMD, LOW_STATE = "rt/lowcmd", "rt/lowstate"
_SERVO = 0x01  # mode of a motor that follows its command
_NO_POSITION, _NO_VELOCITY = 2.146e9, 16000.0  # Unitree's values for a loop that is off


class Bridge:
    """The connection to one Go2."""

    def __init__(self, domain: int = 0, interface: str = "") -> None:
        """Join the DDS domain (the robot's is 0) through a network interface; "" lets CycloneDDS choose."""
        channel = need("unitree_sdk2py.core.channel", "go2")
        messages = need("unitree_sdk2py.idl.unitree_go.msg.dds_", "go2")
        self._default = need("unitree_sdk2py.idl.default", "go2")
        channel.ChannelFactoryInitialize(domain, interface or None)
        self._channel, self._messages = channel, messages
        self._crc = need("unitree_sdk2py.utils.crc", "go2").CRC()
        self._command = empty_command(self._default.unitree_go_msg_dds__LowCmd_())
        self._publisher: Any = None

    def release(self, patience: float = 10.0) -> None:
        """Release sport mode, so that nothing else moves the motors; raises RobotRLError if it stays."""
        switcher = need("unitree_sdk2py.comm.motion_switcher.motion_switcher_client", "go2")
        client = switcher.MotionSwitcherClient()
        client.SetTimeout(2.0)
        client.Init()
        deadline = time.monotonic() + patience
        while True:
            code, mode = client.CheckMode()
            if code == 0 and not (mode or {}).get("name"):
                return
            if time.monotonic() > deadline:
                raise RobotRLError(
                    f"go2: sport mode is not released (answer {code}, {mode}); is the robot on and reachable?"
                )
            if code == 0:
                client.ReleaseMode()
            time.sleep(0.2)

    def listen(self, heard: Callable[[Any], None]) -> None:
        """Call `heard` with each LowState, in a thread of the SDK."""
        subscriber = self._channel.ChannelSubscriber(LOW_STATE, self._messages.LowState_)
        subscriber.Init(heard, 1)
        self._subscriber = subscriber

    def open(self) -> None:
        """Begin to command; `release` first."""
        self._publisher = self._channel.ChannelPublisher(LOW_CMD, self._messages.LowCmd_)
        self._publisher.Init()

    def send(self, point: SetPoint) -> None:
        """Send one command."""
        fill(self._command, point)
        self._command.crc = self._crc.Crc(self._command)
        self._publisher.Write(self._command)


def empty_command(command: Any) -> Any:
    """Set up a LowCmd: its head, and motors that neither hold nor damp."""
    command.head[0], command.head[1] = 0xFE, 0xEF
    command.level_flag = 0xFF  # low level
    for motor in command.motor_cmd:
        motor.mode, motor.tau, motor.kp, motor.kd = _SERVO, 0.0, 0.0, 0.0
        motor.q, motor.dq = _NO_POSITION, _NO_VELOCITY
    return command


def fill(command: Any, point: SetPoint) -> None:
    """Write a set-point into the first twelve motors of a LowCmd."""
    for motor, position in zip(command.motor_cmd, point.position.tolist(), strict=False):
        motor.q = position if point.kp else _NO_POSITION
        motor.dq, motor.kp, motor.kd = 0.0, point.kp, point.kd
