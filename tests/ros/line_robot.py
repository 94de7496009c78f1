"""A robot on a line for the tests of practice: it obeys commands, publishes where it is, and judges itself.

The task is to be at +0.6 ("right") or -0.6 ("left"), as in tests/deploy/line_world.py.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import yaml
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String

from robot_rl.deploy.durable_queue import DurableQueue
from robot_rl.policies.checkpoint import PolicySpec, save_checkpoint
from robot_rl.specs.robot_contract import RobotContract
from tests.deploy.line_world import GOALS, NAMES
from tests.learners.helpers import describe, move
from tests.ros.probe import LATCHED, Probe

RATE = 40.0  # Hz
PATIENT = 1.0  # s; a busy machine must not stop the robot


def line_contract(**changes: object) -> RobotContract:
    """One axis whose command moves it by up to 0.2 m in a period."""
    channel = {"field": "data[0]", "unit": "m/s", "scale": 1.0, "low": -1, "high": 1, "rate_limit": 1e4}
    source = {
        "topic": "x", "type": "sensor_msgs/msg/JointState", "rate": RATE, "stale": PATIENT,
        "parts": {"x": {"field": "position{a}", "unit": "m"}},
    }  # fmt: skip
    command = {
        "topic": "command", "type": "std_msgs/msg/Float64MultiArray", "kind": "velocity", "timeout": PATIENT,
        "parts": {"a0": channel},
    }  # fmt: skip
    base = {
        "name": "line", "description": "a line", "tested": "never", "robot": "toy", "hardware": False,
        "control_rate": RATE, "policy_timeout": PATIENT, "ramp": 0.0, "sources": {"x": source},
        "commands": {"axis": command}, "stop": {"mode": "zero", "resume_within": PATIENT},
        "intervention": {"timeout": PATIENT},
    }  # fmt: skip
    return RobotContract.model_validate(base | changes)


def line_description(**changes: object):
    """What a policy of both tasks sees and does."""
    units = ("m", "1", "1")
    return describe(3, 1, state_names=NAMES, state_units=units, task="right", fps=RATE, **changes)


def line_checkpoint(folder: Path, gain: float = 2.0) -> Path:
    """A policy that goes to the goal of the task: tanh(gain (goal - x)), hardly any noise."""
    like = line_description().model_dump()
    spec = PolicySpec(
        **like, version="0", state_mean=(0.0,) * 3, state_std=(1.0,) * 3, hidden=(), algorithm="iql",
        config={},
    )  # fmt: skip
    weight = gain * np.array([[-1.0], [GOALS["right"]], [GOALS["left"]]])
    weights = {"layer0.weight": weight, "layer0.bias": np.zeros(1), "log_std": np.full(1, -9.0)}
    return save_checkpoint(folder, weights, spec)


def queue(out: Path) -> DurableQueue:
    """The transitions that were stored."""
    return DurableQueue(out / "queue.sqlite", NAMES, ["a0"], min_free=0)


def write_config(out: Path, run: Path, **changes: object) -> None:
    """The folder's config.yaml, as a person or `robot-rl finetune` writes it; `practice.x` as practice_x."""
    practice = {"time_out": 30, "hold": 2, "home": False}
    practice |= {k.removeprefix("practice_"): v for k, v in changes.items() if k.startswith("practice_")}
    others = {key: value for key, value in changes.items() if not key.startswith("practice_")}
    base = {"run": str(run), "out": str(out), "reset_free": True, "mix": 0.0, "practice": practice}
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(yaml.safe_dump(base | others))


class LineRobot:
    """The robot and what is heard of the nodes around it."""

    def __init__(self, number: int) -> None:
        self.probe = Probe(number)
        self.x, self.command, self.moved = np.zeros(1), 0.0, 0
        self.walls = (-1.0, 1.0)
        self.judging = True  # whether reward and success are published
        self.instructions: list[dict] = []
        self.helps: list[str] = []
        self.state: dict = {}
        self.versions: list[str] = []  # of wishes
        hear = self.probe.node.create_subscription
        hear(Float64MultiArray, "command", self._commanded, 10)
        hear(String, "task/instruction", self._instructed, LATCHED)
        hear(String, "supervisor/state", self._stated, LATCHED)
        hear(String, "supervisor/help", lambda m: self.helps.append(m.data), LATCHED)
        hear(JointState, "policy/wish", lambda m: self.versions.append(m.header.frame_id), 10)

    def _commanded(self, message: Float64MultiArray) -> None:
        self.command = float(message.data[0])

    def _instructed(self, message: String) -> None:
        self.instructions.append(json.loads(message.data))

    def _stated(self, message: String) -> None:
        self.state = json.loads(message.data)

    @property
    def task(self) -> str:
        """What is asked for now."""
        return self.instructions[-1]["task"] if self.instructions else "right"

    @contextmanager
    def living(self):
        """Move and publish at the rate."""
        with self.probe.publishing(RATE, self._tick):
            yield self

    def _tick(self) -> None:
        self.x = np.clip(move(self.x, np.array([self.command])), *self.walls)
        self.command = 0.0  # a driver's time-out, of one period
        stamp = self.probe.node.get_clock().now().to_msg()
        if self.judging:
            distance = abs(float(self.x[0]) - GOALS[self.task])
            reward = JointState(name=["mean", "std"], position=[-distance, 0.0])
            reward.header.stamp = stamp
            self.probe.publish("reward", reward)
            self.probe.publish("success", Bool(data=distance < 0.15))
        self.probe.joint("x", float(self.x[0]))

    def close(self) -> None:
        """Leave the graph."""
        self.probe.close()
