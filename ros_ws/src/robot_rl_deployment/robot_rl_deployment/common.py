"""What all nodes share: message classes by name, qualities of service, stamps, and how a node is run."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.specs.robot_contract import RobotContract, load_contract

# The newest reading is all that counts; best effort hears reliable and best-effort publishers alike.
LATEST = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
# Whoever comes later still hears the last message.
LATCHED = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE
)

CONTROL, ROBOT = 20, 10  # real-time priorities, below those of the kernel's own threads for interrupts
_SWITCH = 1e-3  # s after which a thread that computes lets another go on, as where new weights are loaded

WISH, EXECUTED = "policy/wish", "guard/executed"  # JointState: action names, values in the policy's units
NEW_WEIGHTS, STATE = "policy/new_weights", "guard/state"  # String
INSTRUCTION, FOLLOWED = "task/instruction", "policy/instruction"  # String: asked, and followed


def message_class(name: str) -> type:
    """Import a message class by its full name, such as sensor_msgs/msg/JointState; raises BadInput."""
    package, _, kind = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except (ModuleNotFoundError, AttributeError):
        raise BadInput(
            f"message type '{name}' is not installed; it belongs to the ROS 2 package '{package}' "
            f"(apt install ros-$ROS_DISTRO-{package.replace('_', '-')}, or pip install ros-jazzy-"
            f"{package.replace('_', '-')})"
        ) from None


def contract_of(node: Node) -> RobotContract:
    """Load the contract that the parameter `contract` names."""
    return load_contract(parameter(node, "contract", ""))


def diagnose(node: Node, publisher: Publisher, name: str, level: bytes, told: str, found: dict) -> None:
    """Publish one status with its figures on /diagnostics."""
    values = [KeyValue(key=key, value=str(value)) for key, value in found.items()]
    message = DiagnosticArray(status=[DiagnosticStatus(level=level, name=name, message=told, values=values)])
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)


def parameter(node: Node, name: str, default: Any) -> Any:
    """Declare a parameter and return its value."""
    return node.declare_parameter(name, default).value


def prioritise(node: Node, priority: int = CONTROL) -> None:
    """With the parameter `realtime`, run before all that is not real-time (SCHED_RR), where permitted.

    All threads that the node has by now do, those of DDS too: call it when the node is made.
    """
    sys.setswitchinterval(_SWITCH)
    if not parameter(node, "realtime", False):
        return
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(priority))
    except PermissionError:
        node.get_logger().warning("realtime: not permitted; allow it with `ulimit -r` or limits.conf rtprio")


def stamp_of(message: Any) -> float | None:
    """The stamp of a message in s; None without a header or where it was not filled in."""
    header = getattr(message, "header", None)
    if header is None or (header.stamp.sec == 0 and header.stamp.nanosec == 0):
        return None
    return header.stamp.sec + 1e-9 * header.stamp.nanosec


def wall(node: Node) -> float:
    """Seconds of the clock that stamps messages."""
    return node.get_clock().now().nanoseconds * 1e-9


def action_message(node: Node, actions: dict[str, float], frame: str = "") -> JointState:
    """A JointState that holds an action by name."""
    message = JointState(name=list(actions), position=list(actions.values()))
    message.header.stamp = node.get_clock().now().to_msg()
    message.header.frame_id = frame
    return message


def run(
    make: Callable[[], Node], args: list[str] | None = None, work: Callable[[Node], None] = rclpy.spin
) -> int:
    """Make a node and spin it (or do its `work`) until it is told to end; bad input is one line and status 2.

    Signals are ours: rclpy's own handlers would close the connection before a last stop command is out.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    node = None
    try:
        node = make()
        gc.collect()
        gc.freeze()  # what is there for good is not searched again: that was seen to take 0.1 s
        work(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RobotRLError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, BadInput) else 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not cut the ending short
        if node is not None:
            getattr(node, "ending", lambda: None)()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _end(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
