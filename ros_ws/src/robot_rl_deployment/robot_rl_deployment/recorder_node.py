"""Records what a robot does: episodes into OUT/dataset, every message as it came into OUT/raw.

An episode begins when the guard goes to running and ends when it leaves running and intervention; ~/start
and ~/stop (Trigger) do so by hand, ~/ready says whether all sources are heard. The robot never waits for it.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from robot_rl.deploy.boundaries import Boundaries
from robot_rl.deploy.interface import SourceReader
from robot_rl.deploy.pictures import picture_of
from robot_rl.deploy.raw_bag import RawBag
from robot_rl.deploy.recording import Recording
from robot_rl.deploy.recording_folder import RAW
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import load_spec
from robot_rl_deployment import common
from robot_rl_deployment.raw_topics import RawTopics


class RecorderNode(Node):
    """Hears all topics of the contract, each once and as bytes."""

    def __init__(self) -> None:
        super().__init__("recorder_node")
        self.contract = common.contract_of(self)
        out, policy = Path(common.parameter(self, "out", "")), common.parameter(self, "policy", "")
        cameras, task = common.parameter(self, "cameras", "all"), common.parameter(self, "task", "")
        reward = common.parameter(self, "reward", "")  # where rewards come from: sim, topic or nowhere
        if out == Path():
            raise BadInput("out: give the folder to record into")
        spec = load_spec(policy) if policy else None
        self.recording = Recording(
            self.contract,
            out,
            task=task or (spec.task_text if spec else self.contract.description),
            state_names=spec.state_names if spec else (),
            cameras=None if cameras == "all" else tuple(filter(None, cameras.split(","))),
            rewards=bool(reward),
            min_free=common.parameter(self, "min_free", 500.0),
        )
        self.episodes = Boundaries(self.recording, reward, common.parameter(self, "auto", True))
        self.topics = RawTopics(self)
        self._listen()
        if common.parameter(self, "raw", True):
            self.topics.bag = RawBag(out / RAW, self.topics.known, os.environ.get("ROS_DISTRO", ""))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/start", self._start)
        self.create_service(Trigger, "~/stop", self._stop)
        self.create_service(Trigger, "~/ready", self._ready)
        self.create_timer(0.05, lambda: self.episodes.tick(self.topics.release()))
        self.create_timer(1.0, self._every_second)

    def _listen(self) -> None:
        contract, heard, hear = self.contract, self.episodes, self.topics.hear
        for name, source in contract.sources.items():
            read = partial(self._heard, name, SourceReader(source), source.clock == "ours")
            hear(common.message_class(source.type), source.topic, read, sure=False)
        for name, camera in contract.cameras.items():
            hear(Image, camera.topic, partial(self._seen, name), sure=False)
        for command in contract.commands.values():
            kind = common.message_class(command.type)
            hear(kind, command.topic)
            hear(kind, f"{contract.intervention.prefix}/{command.topic}", sure=False)
        hear(JointState, common.EXECUTED, self._executed)
        hear(JointState, common.WISH, lambda message, _: heard.weights(message.header.frame_id))
        hear(JointState, "reward", lambda message, _: heard.rewarded(message.position[0]))
        hear(Bool, "success", lambda message, _: heard.succeeded(message.data))
        hear(String, "sim/episode", lambda message, _: heard.simulated(message.data))
        hear(String, common.STATE, lambda message, time: heard.guard(message.data, time), latched=True)

    def _heard(self, name: str, read: SourceReader, ours: bool, message, time: float) -> None:
        stamp = common.stamp_of(message) if ours else None
        self.recording.heard(name, read(message), time if stamp is None else stamp)

    def _seen(self, name: str, message: Image, _: float) -> None:
        self.recording.seen(name, picture_of(message))

    def _executed(self, message: JointState, time: float) -> None:
        actions = dict(zip(message.name, message.position, strict=True))
        self.episodes.executed(actions, common.stamp_of(message), message.header.frame_id, time)

    def _start(self, _, response: Trigger.Response) -> Trigger.Response:
        self.episodes.start()
        response.success, response.message = True, "an episode begins with the next command"
        return response

    def _stop(self, _, response: Trigger.Response) -> Trigger.Response:
        self.episodes.stop("asked to stop", self.topics.release())
        response.success, response.message = True, f"{self.recording.rows} rows"
        return response

    def _ready(self, _, response: Trigger.Response) -> Trigger.Response:
        response.message = self.recording.problem or self.recording.missing()
        response.success = not response.message
        return response

    def _every_second(self) -> None:
        made = self.recording
        made.sync()
        bag = self.topics.bag
        if bag is not None:
            bag.sync(room=not made.problem)
        wrong = made.problem or (bag.problem if bag else "")
        told = wrong or (made.running and made.waiting) or self.topics.misread or "recording"
        level = DiagnosticStatus.ERROR if wrong else DiagnosticStatus.OK
        if not wrong and told != "recording":
            level = DiagnosticStatus.WARN
        found = {"episodes": made.episodes, "rows": made.rows, "raw": bag.messages if bag else 0}
        common.diagnose(self, self._diagnostics, f"{self.contract.name}: recorder", level, told, found)
        self.topics.misread = ""

    def ending(self) -> None:
        """Make the dataset before this process ends."""
        self.topics.release(everything=True)
        if self.topics.bag is not None:
            self.topics.bag.close()
        print(f"recorded: {self.recording.close() or 'nothing'}", flush=True)


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(RecorderNode, args)


if __name__ == "__main__":
    sys.exit(main())
