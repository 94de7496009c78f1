"""Observation to wished action at the contract's rate: a `ControlStep` as a lifecycle node.

Publishes policy/wish (JointState: action names, values in the policy's units, the weights' version as
frame_id). Never computes a gradient; weights are exchanged between two ticks.
"""

from __future__ import annotations

import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from robot_rl.deploy.control import ControlStep, load_policy, load_swap, version_of
from robot_rl.deploy.pace import Pace
from robot_rl.deploy.ticks import Ticks
from robot_rl.errors import BadInput
from robot_rl_deployment import common
from robot_rl_deployment.hearing import Senses


class PolicyNode(LifecycleNode):
    """Wishes while active; hears sources always."""

    def __init__(self) -> None:
        super().__init__("policy_node")
        self.contract = common.contract_of(self)
        self._run = common.parameter(self, "policy", "")
        self._how = common.parameter(self, "runtime", "auto"), common.parameter(self, "explore", 0.0)
        self._step = ControlStep(self.contract, load_policy(self._run, *self._how), version_of(self._run))
        if not common.parameter(self, "instructed", False):  # by a supervisor, before anything is wished
            self._step.begin_with(common.parameter(self, "task", ""))
        self._next: tuple | None = None  # (policy, version), ready to be exchanged at the next tick
        self._swaps, self._refused, self._silent = 0, "", ""  # why new weights, why no wish
        self._ticks, self._pace, self._timer = Ticks(self.contract.period), Pace(self.contract), None
        self._senses = Senses(self, self._step, self._heard)
        self.create_subscription(String, common.NEW_WEIGHTS, self._new_weights, common.RELIABLE)
        self.create_subscription(String, common.INSTRUCTION, self._instructed, common.LATCHED)
        self._follows = self.create_publisher(String, common.FOLLOWED, common.LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._diagnose)
        if common.parameter(self, "auto_activate", True):
            self._start = self.create_timer(0.05, self._activate_alone)
        common.prioritise(self)

    def _activate_alone(self) -> None:
        """Configure and activate: wishes alone move nothing, the guard must be enabled."""
        self.destroy_timer(self._start)
        self.trigger_configure()
        self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the publisher of wishes."""
        self._wishes = self.create_lifecycle_publisher(JointState, common.WISH, common.RELIABLE)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to wish."""
        self._step.policy.reset()
        self._ticks = Ticks(self.contract.period)
        self._timer = self.create_timer(self._pace.timer, self._due)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Wish nothing more; the guard then stops the robot."""
        self.destroy_timer(self._timer)
        self._timer = None
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the publisher."""
        self.destroy_publisher(self._wishes)
        return super().on_cleanup(state)

    def _heard(self, source: str) -> None:
        if self._pace.heard(source, time.monotonic()) and self._timer is not None:
            self._tick()

    def _due(self) -> None:
        if self._pace.due(time.monotonic()):
            self._tick()

    def _tick(self) -> None:
        began = time.monotonic()
        self._pace.acted(began)
        if self._pace.led:
            self._timer.reset()
        if self._next is not None:
            self._swap()
        try:
            wish, self._silent = self._step(common.wall(self), began), ""
        except BadInput as error:
            self._silent = f"no wish: {error}"
            self.get_logger().warning(self._silent, throttle_duration_sec=1.0)
            return
        self._wishes.publish(common.action_message(self, wish, self._step.version))
        self._ticks.note(began, time.monotonic())

    def _instructed(self, message: String) -> None:
        try:
            self._step.follow(message.data)
            self._follows.publish(message)  # from the next wish on
        except BadInput as error:
            self.get_logger().error(f"instruction: {error}", throttle_duration_sec=1.0)

    def _new_weights(self, message: String) -> None:
        """Load and try beside the control loop; what cannot be used leaves the old policy running."""
        threading.Thread(target=self._load, args=(message.data,), daemon=True).start()

    def _load(self, folder: str) -> None:
        try:
            policy, version = load_swap(self._run, folder, *self._how)
            self._step.check(policy, version)
            self._next = policy, version
        except BadInput as error:
            self._refused = f"new weights refused, the old ones go on: {error}"
            self.get_logger().error(self._refused)

    def _swap(self) -> None:
        (policy, version), self._next = self._next, None
        self._step.swap(policy, version)
        self._swaps += 1
        self.get_logger().info(f"policy: weights {version}")

    def _diagnose(self) -> None:
        found = {"weights": self._step.version, "swaps": self._swaps, **self._ticks.summary()}
        wrong = self._silent or self._refused
        level = DiagnosticStatus.WARN if wrong else DiagnosticStatus.OK
        common.diagnose(
            self, self._diagnostics, f"{self.contract.name}: policy", level, wrong or "running", found
        )


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(PolicyNode, args)


if __name__ == "__main__":
    sys.exit(main())
