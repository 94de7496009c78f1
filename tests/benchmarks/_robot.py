"""A robot for the benchmarks of deployment: numbers its observations, and finds each number in a command.

Its policy passes the number on through a network whose function can be inverted.
"""

from __future__ import annotations

import array
import contextlib
import os
import time
from pathlib import Path

import numpy as np
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String

from robot_rl.policies.checkpoint import PolicySpec, save_checkpoint

RATE, CAMERA_RATE, SIZE = 50.0, 30.0, (480, 640)  # Hz, Hz, pixels
_COUNT = 40_000  # observations that can be told apart


def contract(folder: Path) -> Path:
    """The robot's contract: one joint's velocity, wide limits, a camera."""
    channel = {"field": "data[0]", "unit": "rad/s", "low": -1.0, "high": 1.0, "rate_limit": 1e4}
    content = {
        "name": "bench", "description": "numbers", "tested": "in benchmarks", "robot": "bench",
        "hardware": False, "control_rate": RATE, "policy_timeout": 0.5, "ramp": 0.0,
        "sources": {"x": {"topic": "joint_states", "type": "sensor_msgs/msg/JointState", "rate": RATE,
                          "stale": 0.5, "parts": {"x": {"field": "position{x}", "unit": "rad"}}}},
        "cameras": {"front": {"topic": "camera/image", "rate": CAMERA_RATE, "stale": 0.5}},
        "commands": {"axis": {"topic": "command", "type": "std_msgs/msg/Float64MultiArray",
                              "kind": "velocity", "timeout": 0.5, "parts": {"a": channel}}},
        "stop": {"mode": "zero", "resume_within": 60.0},
    }  # fmt: skip
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def checkpoint(folder: Path, slope: float) -> Path:
    """A policy a = tanh(slope * x) behind two layers of 256, for x >= 0."""
    hidden = (256, 256)
    first = np.zeros((1, 256))
    first[0, 0] = 1.0
    middle, last = np.zeros((256, 256)), np.zeros((256, 1))
    middle[0, 0], last[0, 0] = 1.0, slope
    weights = {
        "layer0.weight": first, "layer0.bias": np.zeros(256), "layer1.weight": middle,
        "layer1.bias": np.zeros(256), "layer2.weight": last, "layer2.bias": np.zeros(1),
        "log_std": np.zeros(1),
    }  # fmt: skip
    spec = PolicySpec(
        state_names=("x",), state_units=("",), state_mean=(0.0,), state_std=(1.0,), action_names=("a",),
        action_units=("",), action_low=(-1.0,), action_high=(1.0,), fps=RATE, robot="bench", task="numbers",
        task_text="pass numbers on", dataset_hash="0" * 64, reward_source="", version="0", hidden=hidden,
        algorithm="bc", config={},
    )  # fmt: skip
    return save_checkpoint(folder, weights, spec)


class BenchRobot:
    """Publishes observations and pictures, and notes when the command that answers each arrives."""

    def __init__(self, domain: int, slope: float) -> None:
        self._context, self._slope = Context(), slope
        with contextlib.suppress(PermissionError):  # what waits for us is not the deployment's fault
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(30))
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node("bench_robot", context=self._context)
        self._sources = self.node.create_publisher(JointState, "joint_states", 1)
        self._camera = self.node.create_publisher(Image, "camera/image", 1)
        self.weights = self.node.create_publisher(String, "policy/new_weights", 1)
        self.sent: dict[int, float] = {}
        self.latency: dict[int, float] = {}  # observation's number -> s until its command
        self.arrivals: list[float] = []
        self.figures: dict[str, dict[str, str]] = {}
        self._number = 0
        picture = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
        self._picture = Image(height=SIZE[0], width=SIZE[1], encoding="rgb8", step=3 * SIZE[1])
        self._picture.data = array.array("B", picture.tobytes())
        self.node.create_subscription(Float64MultiArray, "command", self._commanded, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 10)
        self.node.create_timer(1 / RATE, self._publish)
        self.node.create_timer(1 / CAMERA_RATE, self._see)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def run(self, seconds: float) -> None:
        """Go on for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.01)

    def forget(self) -> None:
        """Begin the figures anew."""
        self.latency.clear()
        self.arrivals.clear()

    def _publish(self) -> None:
        self._number = (self._number + 1) % _COUNT
        message = JointState(name=["x"], position=[self._number / _COUNT])
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.sent[self._number] = time.monotonic()
        self._sources.publish(message)

    def _see(self) -> None:
        self._picture.header.stamp = self.node.get_clock().now().to_msg()
        self._camera.publish(self._picture)

    def _commanded(self, message: Float64MultiArray) -> None:
        now = time.monotonic()
        self.arrivals.append(now)
        number = round(float(np.arctanh(min(message.data[0], 0.999999))) / self._slope * _COUNT)
        if number in self.sent and number not in self.latency:
            self.latency[number] = now - self.sent[number]

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.figures[status.name] = {pair.key: pair.value for pair in status.values}

    def close(self) -> None:
        """Leave the graph."""
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_and_handles(pid: int) -> tuple[float, int]:
    """Resident memory (MiB) and open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir(f"/proc/{pid}/fd"))
