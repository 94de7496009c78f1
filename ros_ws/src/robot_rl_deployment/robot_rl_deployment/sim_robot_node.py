"""A simulated task behind the very topics of a robot's contract, in real time.

Services: ~/reset (Trigger) starts an episode with the parameter `seed`, which then counts up. Publishes
sim/episode (String, JSON: seed, steps, success so far, return, reached: success now, late: steps that had no
new command, world) after each step. With the parameter `pair`, task/instruction switches to the reverse task.
Commands that stop coming are answered as a real driver does: after the contract's time-out velocities and
efforts are zero.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from robot_rl.deploy.gravity import OrientingWriter
from robot_rl.deploy.instruction import Instruction
from robot_rl.deploy.interface import CommandReader, actions_of
from robot_rl.envs.make import make_task
from robot_rl.envs.pair import make_pair
from robot_rl.envs.task_env import TaskEnv
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task
from robot_rl_deployment import common
from robot_rl_deployment.common import LATEST, RELIABLE, contract_of, message_class, parameter, run
from robot_rl_deployment.outputs import image_message


class SimRobotNode(Node):
    """Steps the task at the control rate, with the last command that is not too old."""

    def __init__(self) -> None:
        super().__init__("sim_robot_node")
        self.contract = contract_of(self)
        task = parameter(self, "task", "") or self.contract.simulated
        if not task:
            raise BadInput(f"robot '{self.contract.name}' names no simulated task; give the parameter task")
        self.card = load_task(task)
        self._paired = parameter(self, "pair", False)  # two tasks that undo each other, by instruction
        self.env = make_pair(self.card.name) if self._paired else make_task(self.card)
        if self._paired:
            self.create_subscription(String, common.INSTRUCTION, self._instructed, common.LATCHED)
        self.declare_parameter("seed", 0)
        self._ticks = 0
        self._heard: dict[str, tuple[dict[str, float], float]] = {}
        # The first step may take seconds (some simulators compile then), which must not be one of control.
        self.env.reset(seed=0)
        self.env.step(np.zeros(len(self.card.actions), np.float32))
        self._sources = []
        measured = {part.name for part in self.card.state} | set(self._task.senses())
        for source in self.contract.sources.values():
            kind = message_class(source.type)
            if set(source.parts) <= measured:
                publisher = self.create_publisher(kind, source.topic, RELIABLE)
                self._sources.append((publisher, kind, OrientingWriter(source)))
        for name, command in self.contract.commands.items():
            commanded = partial(self._commanded, name, CommandReader(command))
            self.create_subscription(message_class(command.type), command.topic, commanded, RELIABLE)
        rate = self.contract.control_rate
        self._cameras = [
            (self.create_publisher(Image, topic.topic, LATEST), name, round(rate / topic.rate))
            for name, topic in self.contract.cameras.items()
        ]
        if self._cameras and parameter(self, "watched", False):
            self.env.render()  # as the first step
        self._episode = self.create_publisher(String, "sim/episode", RELIABLE)
        self.create_service(Trigger, "~/reset", self._reset)
        self._begin()
        self.create_timer(self.contract.period, self._step)
        common.prioritise(self, common.ROBOT)  # a robot does not wait for our processor

    @property
    def _task(self) -> TaskEnv:
        """The environment of the present task."""
        return self.env.env if self._paired else self.env

    def _instructed(self, message: String) -> None:
        """Judge by the goal of another task; nothing moves."""
        try:
            self._observation = self.env.switch(Instruction.of_text(message.data).task)
        except BadInput as error:
            self.get_logger().error(f"instruction: {error}")

    def _begin(self) -> None:
        self.seed = self.get_parameter("seed").value
        self._observation, _ = self.env.reset(seed=self.seed)
        self.steps, self.success, self.total, self.late = 0, False, 0.0, 0
        self._heard.clear()
        self._fresh = self.reached = False  # fresh: a command has come since the last step
        self._world = f"{self.seed} {time.time():.3f}"

    def _reset(self, _, response: Trigger.Response) -> Trigger.Response:
        self._begin()
        response.success, response.message = True, f"episode {self.seed}"
        return response

    def _commanded(self, name: str, read: CommandReader, message) -> None:
        self._heard[name], self._fresh = (actions_of(self.contract, read(message)), time.monotonic()), True

    def _action(self) -> np.ndarray:
        """The action (A,) that the driver executes: commands in time, else zeros or the last targets."""
        values, now = {}, time.monotonic()
        for name, command in self.contract.commands.items():
            actions, at = self._heard.get(name, ({}, now))
            if command.kind == "position" or now - at <= command.timeout:
                values.update(actions)
        return np.array([values.get(part.name, 0.0) for part in self.card.actions], np.float32)

    def _step(self) -> None:
        if not self._heard:  # an episode begins with the first command, as it does without ROS
            self._publish()
            return
        self._observation, reward, _, _, info = self.env.step(self._action())
        self.steps, self.late, self._fresh = self.steps + 1, self.late + (not self._fresh), False
        self.reached = bool(info["success"])
        self.success, self.total = self.success or self.reached, self.total + reward
        self._publish()

    def _publish(self) -> None:
        self._ticks += 1
        stamp = self.get_clock().now().to_msg()
        # What the last command led to is said before the reading that the next one answers.
        told = {"seed": self.seed, "steps": self.steps, "success": self.success, "return": self.total}
        told |= {"reached": self.reached, "late": self.late, "world": self._world}
        self._episode.publish(String(data=json.dumps(told)))
        state = dict(zip((p.name for p in self.card.state), self._observation["state"].tolist(), strict=True))
        state |= self._task.senses()
        for publisher, kind, write in self._sources:
            message = write(kind(), state)
            if hasattr(message, "header"):
                message.header.stamp = stamp
            publisher.publish(message)
        for publisher, name, every in self._cameras:
            if self._ticks % every == 0 and publisher.get_subscription_count():
                publisher.publish(image_message(self.env.render(), name, stamp))


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(SimRobotNode, args)


if __name__ == "__main__":
    sys.exit(main())
