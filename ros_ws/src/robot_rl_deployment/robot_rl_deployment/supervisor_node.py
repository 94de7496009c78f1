"""Practice without resets: which task now, when a try ends, when the robot is stuck, when to ask for help.

Tells the policy by task/instruction (String, latched) and hears from policy/instruction that it follows;
stores what was executed; publishes supervisor/state (String, JSON, latched) and supervisor/help (String,
latched). ~/resume (Trigger) goes on after help; so does a person who took the robot and lets it go. When all
steps are practised and learned from, it lets the guard stop the robot, and ends.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from robot_rl.cli.deploy_finetune import parts_for, rules_for
from robot_rl.deploy.claim import Claim
from robot_rl.deploy.control_steps import ControlSteps
from robot_rl.deploy.guard import Mode
from robot_rl.deploy.home_way import way_home
from robot_rl.deploy.interface import SourceReader
from robot_rl.deploy.output import MOVING
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.remote_practice import RemotePractice
from robot_rl.deploy.supervisor import Supervisor
from robot_rl.errors import BadInput
from robot_rl_deployment import common
from robot_rl_deployment.enabling import Enabling, Stopping
from robot_rl_deployment.filming import filming


class SupervisorNode(Node):
    """Passes what is heard on to a `RemotePractice`, and its instructions to the policy."""

    def __init__(self) -> None:
        super().__init__("supervisor_node")
        self.contract = common.contract_of(self)
        run, out = Path(common.parameter(self, "policy", "")), Path(common.parameter(self, "out", ""))
        parts = parts_for(run, out, common.parameter(self, "task", ""))
        self._claim, self._simulated = Claim(out, "supervisor"), common.parameter(self, "simulated", False)
        auto = common.parameter(self, "auto_enable", False)
        self._enabling = Enabling(self, self.contract) if auto else None
        reward = "success" if common.parameter(self, "by_success", False) else parts.config.reward
        self._steps = ControlSteps(self.contract, parts.spec)
        supervisor = Supervisor.load(out / SUPERVISOR, rules_for(parts, self.contract))
        self.practice = RemotePractice(
            parts.spec, self._steps, supervisor, parts.queue(), parts.ledger(), out,
            judging=parts.judging(), simulated=self._simulated, reward=reward,
            limit=parts.config.steps,
            home=way_home(self.contract, parts.spec.state_names),
        )  # fmt: skip
        # A simulation that judges itself renders nothing, so that its steps come in time.
        filmed = parts.config.practice.film and self.contract.cameras and not self._simulated
        self._filming = filming(self, self.contract, self.practice, out) if filmed else None
        self._told = ""
        self._listen()
        self._instruct = self.create_publisher(String, common.INSTRUCTION, common.LATCHED)
        self._state = self.create_publisher(String, "supervisor/state", common.LATCHED)
        self._help = self.create_publisher(String, "supervisor/help", common.LATCHED)
        self._weights = self.create_publisher(String, common.NEW_WEIGHTS, common.RELIABLE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/resume", self._resume)
        self._stopping = Stopping(self)
        self.create_timer(0.5, self._often)

    def _listen(self) -> None:
        hear = self.create_subscription
        for source in self.contract.sources.values():
            read = partial(self._heard, SourceReader(source))
            hear(common.message_class(source.type), source.topic, read, common.LATEST)
        # What came at the same time is heard in this order: a command ends the step that was judged before.
        if self.contract.simulated:
            hear(String, "sim/episode", self._simulation, common.RELIABLE)
        if not self._simulated:
            hear(JointState, "reward", lambda m: self._judged(reward=m.position[0]), common.RELIABLE)
        hear(Bool, "success", lambda m: self._judged(success=float(m.data)), common.RELIABLE)
        hear(JointState, common.WISH, self._wished, common.LATEST)
        hear(JointState, common.EXECUTED, self._executed, common.RELIABLE)
        hear(String, common.FOLLOWED, self._followed, common.LATCHED)
        hear(String, common.STATE, self._guarded, common.LATCHED)

    def _heard(self, read: SourceReader, message) -> None:
        try:
            self._steps.heard(read(message))
        except BadInput as error:
            self.get_logger().warning(str(error), throttle_duration_sec=1.0)

    def _judged(self, **said: float) -> None:
        self._steps.judged(common.wall(self), **said)

    def _wished(self, message: JointState) -> None:
        self._steps.weights = message.header.frame_id

    def _followed(self, message: String) -> None:
        self.practice.follows(message.data)

    def _simulation(self, message: String) -> None:
        told = json.loads(message.data)
        self.practice.in_world(told["world"])
        if self._simulated:
            self.practice.simulated(told["return"], told["reached"], common.wall(self))

    def _executed(self, message: JointState) -> None:
        if message.header.frame_id in MOVING:
            actions = dict(zip(message.name, message.position, strict=True))
            person = message.header.frame_id == Mode.INTERVENTION
            self.practice.executed(actions, common.stamp_of(message), person)
            if self._filming:
                self._filming.look()
            self._tell()

    def _guarded(self, message: String) -> None:
        if self._enabling:
            self._enabling.heard(message.data)
        if not message.data.startswith(MOVING):
            self.practice.stopped()

    def _resume(self, _, response: Trigger.Response) -> Trigger.Response:
        response.message = self.practice.resume() or "it goes on"
        response.success = response.message == "it goes on"
        self._tell()
        return response

    def _often(self) -> None:
        self.practice.begin()
        if self._enabling:
            self._enabling.look()
        if (folder := self.practice.new_weights()) is not None:
            self._weights.publish(String(data=str(folder)))
        self._tell()
        found = self.practice.summary()
        self._state.publish(String(data=json.dumps(found)))
        wrong = self.practice.halted or found["help"]
        level = DiagnosticStatus.WARN if wrong else DiagnosticStatus.OK
        name, told = f"{self.contract.name}: supervisor", wrong or f"{found['mode']}: {found['task']}"
        common.diagnose(self, self._diagnostics, name, level, told, found)
        if self.practice.learned:
            self._stopping.ask()

    def supervise(self) -> None:
        """Go on until all steps are practised and learned from, and the robot is stopped."""
        rclpy.spin_until_future_complete(self, self._stopping.done)

    def _tell(self) -> None:
        """Publish the instruction where it changed, and what a person is asked for."""
        text = self.practice.instruction.to_text()
        if text != self._told:
            self._told = text
            self._instruct.publish(String(data=text))
            if (folder := self.practice.new_weights()) is not None:
                self._weights.publish(String(data=str(folder)))
            self._help.publish(String(data=self.practice.summary()["help"]))


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(SupervisorNode, args, SupervisorNode.supervise)


if __name__ == "__main__":
    sys.exit(main())
