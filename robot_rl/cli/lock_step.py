"""Robot and learner of a reset-free run take turns in one process: the same seed gives the same run.

Killed at any moment it continues to the last bit: what came after the last save is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from robot_rl.cli.reset_free import Parts
from robot_rl.cli.reset_free_film import tick
from robot_rl.cli.reset_free_judge import judge_newest
from robot_rl.deploy.claim import Claim
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.supervisor import Order
from robot_rl.deploy.weights_ledger import settle_by_practice
from robot_rl.errors import BadInput, RobotRLError

_KEPT = "lock_step"  # folder of what belongs to the learner's saved state: world, supervisor, ledger


class LockStep:
    """One reset-free run in one process."""

    def __init__(
        self,
        parts: Parts,
        log: Callable[[Mapping[str, float]], object] = lambda _: None,
    ) -> None:
        """Begin in the run's folder, or go on there."""
        self.parts, out = parts, parts.out
        self._claim = Claim(out, "robot")
        self.queue, self.ledger, self.world = parts.queue(), parts.ledger(), parts.world()
        self._kept = out / _KEPT
        self._kept.mkdir(exist_ok=True)
        self.process = parts.learner(self.queue, self.ledger, log, saves=False)
        self._judge, self._judging = None if parts.by_tries else parts.judge(), parts.judging()
        self.learner, self._film = self.process.learner, parts.film()
        step = self.learner.step
        if step:
            self._go_back(step)
        self.practice = parts.practice(self.world, self.queue, self.ledger, self._file(step, "json"))
        task = self.practice.supervisor.state.task
        if step:
            self.world.go_on(self._file(step, "npz"), task)
        else:
            self.world.pair.begin_with(task, parts.config.seed)
            self.practice.supervisor.count_reset()
        self.practice.begin()
        self._look_at_weights()

    def run(self, until: int | None = None, progress: Callable[[int, str], object] | None = None) -> None:
        """Practise and learn until all steps are done, or to the end of the try at which `until` are."""
        progress = progress or (lambda *_: None)
        while not self.learner.finished:
            order = tick(self.practice, self._film)
            progress(self.process.catch_up(), f"version {self.ledger.newest().number}")
            if order.ended or self.learner.finished:
                self.between_tries(order)
                self._look_at_weights()
                self._save_if_due()
                if self.learner.finished:  # the last try is cut: the count of what it took is whole
                    self.practice.supervisor.save(self.parts.out / SUPERVISOR)
                if until and self.learner.step >= until:
                    return
            if order.mode == "wait":
                self._help(order.help)

    def between_tries(self, order: Order) -> None:
        """Nothing happens to the world between tries; who compares with resets puts them here."""

    def close(self) -> None:
        """Free the renderers and the files."""
        self.world.pair.close()
        if self._judge is not None:
            self._judge.pair.close()
        self.queue.close()
        self.ledger.close()
        self._claim.release()

    def _look_at_weights(self) -> None:
        if self._judge is None:
            settle_by_practice(self.ledger, self._judging, self.parts.tasks)
        else:
            judge_newest(self.ledger, self._judging, self._judge)
        self.process.hear_verdicts()

    def _help(self, asked: str) -> None:
        if self.parts.config.practice.on_help == "wait":
            raise RobotRLError(f"the robot asks for help: {asked} (--practice.on-help reset sets it up anew)")
        supervisor = self.practice.supervisor
        supervisor.count_reset()
        self.world.pair.begin_with(supervisor.state.task, self.parts.config.seed)
        self.practice.resume()

    def _save_if_due(self) -> None:
        """Keep what belongs to the learner's state before that state, so that it always finds it."""
        learner = self.learner
        if learner.step - learner.saved < learner.config.save_every and not learner.finished:
            return
        self.world.keep(self._file(learner.step, "npz"))
        self.practice.supervisor.save(self._file(learner.step, "json"))
        self.ledger.keep(self._file(learner.step, "sqlite"))
        learner.save()
        for path in self._kept.iterdir():
            if not path.name.startswith(f"{learner.step:09d}."):
                path.unlink()

    def _go_back(self, step: int) -> None:
        for ending in ("npz", "json", "sqlite"):
            if not self._file(step, ending).exists():
                raise BadInput(f"{self._file(step, ending)} is missing; start the run in another folder")
        self.queue.rewind(step)
        self.ledger.go_back(self._file(step, "sqlite"))

    def _file(self, step: int, ending: str) -> Path:
        return self._kept / f"{step:09d}.{ending}"
