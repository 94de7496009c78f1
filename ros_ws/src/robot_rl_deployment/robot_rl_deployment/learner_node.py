"""Learns while the robot practises: transitions from the durable queue in, new weights into the ledger.

A process of its own, at low priority and on one core, that may be killed at any moment. It neither hears the
robot nor commands it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from robot_rl.cli.common import plain
from robot_rl.cli.deploy_finetune import parts_for
from robot_rl.cli.sinks import open_sinks
from robot_rl.deploy.claim import Claim
from robot_rl_deployment import common

_NICE = 10  # control must never be late because of learning
_IDLE = 0.5  # s between looks where all steps are done


class LearnerNode(Node):
    """Says on /diagnostics, between its updates, how far learning is."""

    def __init__(self) -> None:
        super().__init__("learner_node")
        self._make_way()
        self._name = f"{common.contract_of(self).name}: learner"
        run, out = Path(common.parameter(self, "policy", "")), Path(common.parameter(self, "out", ""))
        self._parts = parts_for(run, out, common.parameter(self, "task", ""))
        self._claim = Claim(out, "learner")
        self._queue, self._learned, self._said = self._parts.queue(), 0, 0.0
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

    @staticmethod
    def _make_way() -> None:
        """Let control go first, and have another core wherever there is one."""
        os.nice(_NICE)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    def learn(self) -> None:
        """Learn until the end of this process."""
        parts, config = self._parts, self._parts.config
        also = {"tensorboard": config.tensorboard, "wandb": config.wandb}
        with open_sinks(parts.out, plain(config), **also) as sink:
            process = parts.learner(self._queue, parts.ledger(), sink)
            self._learned = process.learner.step
            process.run(lambda: False, self._progress)
            while True:
                process.hear_verdicts()
                self._progress(0, "all steps that were asked for are learned from")
                time.sleep(_IDLE)

    def _progress(self, count: int, told: str) -> None:
        self._learned += count
        if time.monotonic() - self._said > 1:
            self._said = time.monotonic()
            found = {"learned": self._learned, "stored": self._queue.count()}
            common.diagnose(self, self._diagnostics, self._name, DiagnosticStatus.OK, told, found)


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return common.run(LearnerNode, args, LearnerNode.learn)


if __name__ == "__main__":
    sys.exit(main())
