"""The learner beside a robot that practises: transitions from the queue in, new weights into the ledger.

It may be killed at any moment: its state says how many transitions it has learned from, and the queue holds
all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from robot_rl.deploy.durable_queue import DurableQueue, Executed
from robot_rl.deploy.weights_ledger import Version, WeightsLedger, shares
from robot_rl.errors import BadInput
from robot_rl.learners.experience import Transition
from robot_rl.learners.online import OnlineLearner
from robot_rl.policies.checkpoint import write_atomically

STATE = "learner.safetensors"  # beside a version's checkpoint: what rolling back to it restores
_SUCCESS = "eval_success/"  # and the task, in the log
_POLL = 0.05  # s between looks at an empty queue
_READ = 200  # transitions at a time


class LearnerProcess:
    """Feeds an online learner from the queue, gives out its weights, and takes back bad updates."""

    def __init__(
        self,
        learner: OnlineLearner,
        queue: DurableQueue,
        ledger: WeightsLedger,
        *,
        publish_every: int = 1000,
        patience: int = 3,
        by_tries: bool = False,
        saves: bool = True,
        reweigh: Callable[[Mapping[str, float]], Mapping[str, float]] | None = None,
    ) -> None:
        """New weights come every `publish_every` transitions.

        After `patience` bad ones in a row the learner itself goes back to the best. With `by_tries` it hears
        of versions what the robot's own tries say, once newer ones have overtaken them. Without `saves`,
        whoever drives it saves the learner, with what belongs to the same moment. `reweigh` hears each
        version's success by task and returns the tasks' shares of the prior data.
        """
        self.learner, self.queue, self.ledger = learner, queue, ledger
        self._every, self._patience, self._saves = publish_every, patience, saves
        self._by_tries, self._reweigh = by_tries, reweigh
        told = [row for row in learner.rows() if "version" in row]
        self._told = max((int(row["version"]) for row in told), default=0)
        for row in told if reweigh else ():  # a run that goes on remembers what it heard
            reweigh({k.removeprefix(_SUCCESS): v for k, v in row.items() if k.startswith(_SUCCESS)})
        self._rejected = {v.number for v in ledger.versions() if v.status == "rejected"}
        if ledger.newest() is None:
            self.publish()

    @property
    def finished(self) -> bool:
        """Whether all transitions that it was to learn from have come."""
        return self.learner.finished

    def take(self, step: Executed) -> None:
        """Learn from one transition; publish and save where it is due."""
        self.learner.observe(transition_of(step), None if not step.last else step.ended == "success")
        newest = self.ledger.newest()
        due = self.learner.step - newest.step >= self._every
        if due or (self.finished and newest.step < self.learner.step):
            self.publish()
        if self._saves:
            self.learner.save_if_due()

    def catch_up(self, limit: int = _READ) -> int:
        """Learn from what is new in the queue, at most `limit` transitions; returns how many."""
        limit = min(limit, self.learner.config.steps - self.learner.step)
        found = self.queue.read(self.learner.step, limit) if limit else []
        for _, step in found:
            self.take(step)
        return len(found)

    def run(self, stopped: Callable[[], bool], progress: Callable[[int, str], object] | None = None) -> None:
        """Learn until `stopped`, or until all steps are done; then save. While the disk is full it waits."""
        progress = progress or (lambda *_: None)
        while not (stopped() or self.finished):
            full = self.queue.room()
            count = 0 if full else self.catch_up(20)
            self.hear_verdicts()
            progress(count, full or f"version {self.ledger.newest().number}")
            if not count:
                time.sleep(_POLL)
        self.hear_verdicts()

    def publish(self) -> int:
        """Give out the weights of now; returns their version."""

        def write(folder: Path) -> None:
            self.learner.save_policy(folder)
            write_atomically(folder / STATE, save(self.learner.snapshot()))

        return self.ledger.publish(self.learner.step, write)

    def hear_verdicts(self) -> None:
        """Log what was found of versions, and go back to the best after `patience` bad ones in a row."""
        versions, source = self.ledger.versions(), "practice" if self._by_tries else "evaluation"
        for version in versions:
            if version.status == "rejected" and version.number not in self._rejected:
                self._rejected.add(version.number)
                if self.ledger.rejected_in_a_row() % self._patience == 0:
                    self._roll_back()
            if version.number <= self._told or (self._by_tries and version is versions[-1]):
                continue  # the newest is still being tried
            if tally := self.ledger.tally(version.number, source):
                self._told = version.number
                self._log(version, shares(tally))

    def _log(self, version: Version, found: dict[str, float]) -> None:
        row = {_SUCCESS + task: rate for task, rate in found.items()}
        mean = sum(found.values()) / len(found)
        if self._reweigh is not None:
            row |= {f"prior_share/{task}": share for task, share in self._reweigh(found).items()}
        self.learner.log(
            {"version": version.number, "version_step": version.step, "eval_success": mean, **row}
        )

    def _roll_back(self) -> None:
        best = self.ledger.best()
        path = self.ledger.folder(best.number) / STATE
        try:
            state = load(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{path} cannot be read ({error}); start the run in another folder") from error
        self.learner.roll_back(state)
        self.learner.log({"rolled_back_to": best.number})


def transition_of(step: Executed) -> Transition:
    """What the learner takes of an executed transition."""
    return Transition(
        step.observation,
        step.action,
        step.reward,
        step.next_observation,
        step.terminated,
        step.truncated and not step.terminated,
    )
