"""Camera to reward and success, by learned models: a process of its own.

With `model`, the folder of a labeling, it publishes `reward` (JointState: names mean and std); with
`success`, the folder of a success classifier, `success_probability` (JointState: name probability) and, by
the classifier's own rule, `success` (Bool). JointStates are stamped as the picture. Where either is two
folders, with ':' between, the first is of the task `forward`, the second of its reverse; policy/instruction
says which is practised.
"""

from __future__ import annotations

import sys

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String

from robot_rl.cli.reward import picture_reward
from robot_rl.cli.success import load_success
from robot_rl.deploy.graph import folders
from robot_rl.deploy.instruction import Instruction
from robot_rl.deploy.judge import judges
from robot_rl.deploy.pictures import picture_of
from robot_rl.errors import BadInput
from robot_rl_deployment import common


class RewardNode(Node):
    """Judges the newest picture; those that come meanwhile are left out."""

    def __init__(self) -> None:
        super().__init__("reward_node")
        self.contract = common.contract_of(self)
        camera = common.parameter(self, "camera", "") or next(iter(self.contract.cameras), "")
        if camera not in self.contract.cameras:
            known = ", ".join(self.contract.cameras) or "none"
            raise BadInput(f"camera: '{self.contract.name}' has no camera '{camera}'; it has {known}")
        rewards = [picture_reward(path) for path in folders(common.parameter(self, "model", ""))]
        detectors = [load_success(path).detector() for path in folders(common.parameter(self, "success", ""))]
        self._judges = judges(rewards, detectors)
        self.judge, self._forward = self._judges[0], common.parameter(self, "forward", "")
        self._count, self._misread = 0, ""
        self._reward = self.create_publisher(JointState, "reward", common.RELIABLE)
        self._probability = self.create_publisher(JointState, "success_probability", common.RELIABLE)
        self._success = self.create_publisher(Bool, "success", common.RELIABLE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(Image, self.contract.cameras[camera].topic, self._seen, common.LATEST)
        self.create_subscription(String, common.STATE, self._state, common.LATCHED)
        self.create_subscription(String, common.FOLLOWED, self._followed, common.LATCHED)
        self.create_timer(1.0, self._diagnose)

    def _seen(self, message: Image) -> None:
        try:
            judged = self.judge(picture_of(message))
        except BadInput as error:
            self._misread = str(error)
            return
        self._misread = ""
        if judged.mean is not None:
            said = JointState(name=["mean", "std"], position=[judged.mean, judged.std])
            said.header = message.header
            self._reward.publish(said)
        if judged.success is not None:
            said = JointState(name=["probability"], position=[judged.probability])
            said.header = message.header
            self._probability.publish(said)
            self._success.publish(Bool(data=judged.success))
        self._count += 1
        self.judge.said(common.stamp_of(message) or common.wall(self), common.wall(self))

    def _state(self, message: String) -> None:
        if not message.data.startswith(("running", "intervention")):
            self.judge.reset()

    def _followed(self, message: String) -> None:
        """Judge by the models of the task that is practised; what was seen before does not count for it."""
        reverse = Instruction.of_text(message.data).task != self._forward
        self.judge = self._judges[-1 if reverse else 0]
        self.judge.reset()

    def _diagnose(self) -> None:
        level = DiagnosticStatus.WARN if self._misread or not self._count else DiagnosticStatus.OK
        told = self._misread or ("judging" if self._count else "no picture has been heard yet")
        found = {"pictures": self._count, **self.judge.summary()}
        common.diagnose(self, self._diagnostics, f"{self.contract.name}: reward", level, told, found)


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(RewardNode, args)


if __name__ == "__main__":
    sys.exit(main())
