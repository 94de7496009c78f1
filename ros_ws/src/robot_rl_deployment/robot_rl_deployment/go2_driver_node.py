"""Unitree Go2's motors behind the topics of its contract: joint targets in, IMU, joints and gait clock out.

Sport mode is released before the first command. Commands go out at 500 Hz in a thread of their own; the legs
are damped when targets are silent, when the guard says so, when the state is not heard, and at the end.
"""

from __future__ import annotations

import math
import sys
import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Vector3Stamped
from rclpy.node import Node
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Bool

from robot_rl.deploy.go2_bridge import Bridge
from robot_rl.deploy.go2_low_level import MOTORS, RATE, Gains, LowLevel
from robot_rl.deploy.ticks import Ticks
from robot_rl.errors import BadInput
from robot_rl_deployment import common

_ENDING = 0.5  # s of damping before this process ends


class Go2DriverNode(Node):
    """Between the contract `go2` and the robot's own DDS."""

    def __init__(self) -> None:
        super().__init__("go2_driver_node")
        self.contract = common.contract_of(self)
        gains = {name: common.parameter(self, name, value) for name, value in vars(Gains()).items()}
        (command,) = self.contract.commands.values()
        self.low = LowLevel(Gains(**gains), command.timeout, self.contract.period)
        self._clock_rate = common.parameter(self, "clock_rate", 3.0)  # Hz, strides; that of the task card
        self._state, self._lock, self._ended = None, threading.Lock(), threading.Event()
        self._damped, self._ticks, self._misread = "not begun", Ticks(1 / RATE), ""
        self.bridge = Bridge(common.parameter(self, "domain", 0), common.parameter(self, "interface", ""))
        self.bridge.listen(self._heard)
        if common.parameter(self, "release", True):
            self.bridge.release()
        self.bridge.open()
        topics = {name: source.topic for name, source in self.contract.sources.items()}
        self._imu = self.create_publisher(Imu, topics["imu"], common.RELIABLE)
        self._joints = self.create_publisher(JointState, topics["joints"], common.RELIABLE)
        self._gait = self.create_publisher(Vector3Stamped, topics["clock"], common.RELIABLE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(JointState, command.topic, self._targeted, common.RELIABLE)
        self.create_subscription(Bool, self.contract.stop.topic, self._damp, common.RELIABLE)
        self.create_timer(1 / self.contract.sources["joints"].rate, self._publish)
        self.create_timer(1.0, self._diagnose)
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self._thread.start()
        common.prioritise(self)

    def _heard(self, state) -> None:
        positions = np.array([motor.q for motor in state.motor_state[:12]])
        with self._lock:
            self._state = state
            self.low.measured(positions, time.monotonic())

    def _targeted(self, message: JointState) -> None:
        try:
            targets = dict(zip(message.name, message.position, strict=False))
            with self._lock:
                self.low.target(targets, time.monotonic())
        except BadInput as error:
            self._misread = str(error)

    def _damp(self, message: Bool) -> None:
        with self._lock:
            self.low.damp(message.data)

    def _hold(self) -> None:
        """Command the motors at `RATE` until the end."""
        due = time.monotonic()
        while not self._ended.is_set():
            began = time.monotonic()
            with self._lock:
                point = self.low.tick(began)
            self.bridge.send(point)
            self._damped = point.damped
            self._ticks.note(began, time.monotonic())
            due = max(due + 1 / RATE, began)  # what was missed is not made up for
            time.sleep(max(0.0, due - time.monotonic()))

    def _publish(self) -> None:
        state, self._state = self._state, None
        if state is None:
            return  # nothing new; its silence must be seen by the guard
        stamp = self.get_clock().now().to_msg()
        motors, imu = state.motor_state[:12], Imu()
        joints = JointState(name=MOTORS, position=[m.q for m in motors], velocity=[m.dq for m in motors])
        joints.effort = [m.tau_est for m in motors]
        sensed = state.imu_state
        w, x, y, z = (float(value) for value in sensed.quaternion)
        imu.orientation.w, imu.orientation.x, imu.orientation.y, imu.orientation.z = w, x, y, z
        for vector, values in (
            (imu.angular_velocity, sensed.gyroscope),
            (imu.linear_acceleration, sensed.accelerometer),
        ):
            vector.x, vector.y, vector.z = (float(value) for value in values)
        angle = 2 * math.pi * self._clock_rate * time.monotonic()
        clock = Vector3Stamped()
        clock.vector.x, clock.vector.y = math.sin(angle), math.cos(angle)
        for publisher, message in ((self._imu, imu), (self._joints, joints), (self._gait, clock)):
            message.header.stamp, message.header.frame_id = stamp, "base"
            publisher.publish(message)

    def _diagnose(self) -> None:
        level = DiagnosticStatus.WARN if self._damped or self._misread else DiagnosticStatus.OK
        told = self._misread or (f"damping: {self._damped}" if self._damped else "following joint targets")
        common.diagnose(
            self, self._diagnostics, f"{self.contract.name}: driver", level, told, self._ticks.summary()
        )
        self._misread = ""

    def ending(self) -> None:
        """Damp before this process ends."""
        with self._lock:
            self.low.damp(True)
        time.sleep(_ENDING)
        self._ended.set()
        self._thread.join()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(Go2DriverNode, args)


if __name__ == "__main__":
    sys.exit(main())
