"""A reset-free run in three processes beside this one: the robot, the learner, and the judge of its weights.

Each may be killed at any moment and is started anew; killed all, the same command goes on. They share the
queue of transitions, the ledger of weights and the supervisor's state on disk, nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from robot_rl.cli.reset_free import Parts, parts_of
from robot_rl.errors import RobotRLError

if TYPE_CHECKING:
    from robot_rl.cli.finetune import Config
    from robot_rl.deploy.practice import Practice

_POLL, _PATIENCE = 0.3, 20.0  # s between looks; for a process that is asked to end


@dataclass
class Child:
    """One of the processes, started anew when it was killed."""

    name: str
    work: Callable[[Config], None]
    config: Config
    process: BaseProcess | None = field(default=None, init=False)

    def watch(self) -> bool:
        """Start it where it does not run; returns whether it is done. Raises RobotRLError if it failed."""
        if self.process is None:
            self._start()
        code = self.process.exitcode
        if code is None or code == 0:
            return code == 0
        if code > 0:
            raise RobotRLError(f"the {self.name} ended with an error, see above")
        print(f"the {self.name} was killed (signal {-code}); it is started anew", file=sys.stderr)
        self._start()
        return False

    def _start(self) -> None:
        target = (self.name, self.work, self.config)
        self.process = multiprocessing.get_context("spawn").Process(target=_child, args=target)
        self.process.start()

    def ask_to_end(self) -> None:
        """Let it end at its next safe place."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()

    def end(self) -> None:
        """Wait for its end, not for ever."""
        if self.process is not None:
            self.process.join(_PATIENCE)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()


class Stop:
    """Becomes true when this process is asked to end, or when the one that started it is gone."""

    def __init__(self) -> None:
        self._asked, self._parent = False, os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process ends the others
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked or os.getppid() != self._parent


def _child(name: str, work: Callable[..., None], config: Config) -> None:
    """The body of a process: an error of ours is one line."""
    stop = Stop()
    try:
        work(config, stop)
    except RobotRLError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)


def robot(config: Config, stop: Stop) -> None:
    """Practise until the queue holds all steps."""
    from robot_rl.cli.reset_free_world import WORLD
    from robot_rl.deploy.claim import Claim
    from robot_rl.deploy.practice import SUPERVISOR

    parts = parts_of(config)
    claim = Claim(parts.out, "robot")
    queue, ledger, world = parts.queue(), parts.ledger(), parts.world()
    while ledger.current() is None and not stop():  # the learner gives out the first weights
        time.sleep(_POLL)
    practice = parts.practice(world, queue, ledger, parts.out / SUPERVISOR)
    task = practice.supervisor.state.task
    if (parts.out / WORLD).exists():
        world.go_on(parts.out / WORLD, task)
    else:
        world.pair.begin_with(task, config.seed)
        practice.supervisor.count_reset()
        world.keep(parts.out / WORLD)
    practice.begin()
    _practise(parts, practice, stop)
    world.keep(parts.out / WORLD)
    practice.supervisor.save(parts.out / SUPERVISOR)
    world.pair.close()
    claim.release()


def _practise(parts: Parts, practice: Practice, stop: Stop) -> None:
    """Tick at the pace that was asked for; say when the robot stands still, and why."""
    from robot_rl.cli.reset_free_film import tick
    from robot_rl.cli.reset_free_world import WORLD
    from robot_rl.deploy.weights_ledger import settle_by_practice

    config, pace = parts.config.practice, parts.config.practice.pace
    period = 1 / (practice.supervisor.rules.control_rate * pace) if pace else 0.0
    film, told, due = parts.film(), "", time.monotonic()
    while not (stop() or practice.finished):
        _wait(parts, practice, due, stop)
        due = max(due + period, time.monotonic() - period)
        order = tick(practice, film)
        why = practice.halted or order.help
        if why != told:
            print(f"robot: {why or 'goes on'}", file=sys.stderr)
            told = why
        if why and order.mode == "wait" and config.on_help == "reset":
            practice.supervisor.count_reset()
            practice.world.pair.begin_with(order.task, parts.config.seed)
            practice.resume()
        elif practice.halted:
            time.sleep(_POLL)
        if order.ended:
            practice.world.keep(parts.out / WORLD)
            if parts.by_tries:
                settle_by_practice(practice.ledger, parts.judging(), parts.tasks)


def _wait(parts: Parts, practice: Practice, due: float, stop: Stop) -> None:
    """Until the next period; without a pace, until the learner is not far behind."""
    time.sleep(max(0.0, due - time.monotonic()))
    if parts.config.practice.pace == 0 and practice.order.begins:
        ahead = 2 * parts.config.practice.publish_every
        while practice.queue.count() - practice.ledger.newest().step > ahead and not stop():
            time.sleep(_POLL)


def learner(config: Config, stop: Stop) -> None:
    """Learn from the queue until all steps are learned from."""
    from robot_rl.cli.common import plain
    from robot_rl.cli.sinks import open_sinks
    from robot_rl.deploy.claim import Claim

    parts = parts_of(config)
    claim = Claim(parts.out, "learner")
    also = {"tensorboard": config.tensorboard, "wandb": config.wandb}
    with open_sinks(parts.out, plain(config), **also) as sink:
        parts.learner(parts.queue(), parts.ledger(), sink).run(stop)
    claim.release()


def judge(config: Config, stop: Stop) -> None:
    """Judge new weights, in a world that feeds nothing back, until asked to end."""
    from robot_rl.cli.reset_free_judge import judge_newest
    from robot_rl.deploy.claim import Claim

    parts = parts_of(config)
    claim = Claim(parts.out, "judge")
    ledger, judging, scene = parts.ledger(), parts.judging(), parts.judge()
    while not stop():
        if not judge_newest(ledger, judging, scene, stop):
            time.sleep(_POLL)
    claim.release()


def run_processes(parts: Parts) -> None:
    """Run all three until the steps are done and the last weights are judged; Ctrl-C ends them safely."""
    from robot_rl.cli.common import progress

    config = parts.config
    parts.out.mkdir(parents=True, exist_ok=True)
    works = (robot, learner) if parts.by_tries else (robot, learner, judge)
    children = [Child(work.__name__, work, config) for work in works]
    queue, ledger = parts.queue(), parts.ledger()
    try:
        with progress(config.steps, "practice", "steps") as advance:
            done = 0
            while not _finished(children) or (not parts.by_tries and ledger.to_judge() is not None):
                time.sleep(_POLL)
                count, newest = queue.count(), ledger.newest()
                advance(count - done, f"version {newest.number}" if newest else "")
                done = count
    finally:
        for child in children:
            child.ask_to_end()
        for child in children:
            child.end()
        queue.close()
        ledger.close()


def _finished(children: list[Child]) -> bool:
    """Whether robot and learner are done; all are started anew where they were killed."""
    return all([child.watch() for child in children][:2])
