"""A robot that practises without resets: each control step acts as the supervisor orders, and is recorded.

Free of ROS and of simulators: the `World` is passed in. What was executed goes into the durable queue; the
policy comes from the weights' ledger, new ones between tries.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from robot_rl.deploy.durable_queue import DurableQueue, Executed, QueueFull
from robot_rl.deploy.supervisor import FAILURES, Order, Seen, Supervisor
from robot_rl.deploy.weights_ledger import WeightsLedger
from robot_rl.errors import RobotRLError
from robot_rl.policies.conditioning import View
from robot_rl.policies.exploring import ExploringPolicy

SUPERVISOR = "supervisor.json"
_KEEP, _STEP = 0.85, 0.4  # Ornstein–Uhlenbeck noise of random motion, in units of an action's half range


@dataclass(frozen=True)
class Outcome:
    """What one control step of the world led to."""

    state: np.ndarray  # (N,) float32, as the world measures it
    reward: float
    success: float  # probability that the present task's goal is reached
    action: np.ndarray  # (A,) as executed
    intervention: bool = False
    out_of_reach: bool = False
    fell: bool = False  # lies on the ground


class World(Protocol):
    """Where the robot practises; it goes on from one try to the next."""

    state_names: tuple[str, ...]

    def observe(self) -> np.ndarray:
        """The state (N,) now, under the present task."""

    def step(self, action: np.ndarray) -> Outcome:
        """Act for one control period."""

    def switch(self, task: str) -> None:
        """Change the task, or begin it again; nothing in the world moves."""

    def home_action(self) -> np.ndarray | None:
        """The action (A,) that leads home, None where the robot is there."""


@dataclass
class Practice:
    """Drives a world by a supervisor; `tick` is one control step."""

    world: World
    supervisor: Supervisor
    queue: DurableQueue
    ledger: WeightsLedger
    folder: Path  # of supervisor.json
    seed: int = 0
    noise: float = 1.0  # of exploring, in the policy's own standard deviations
    vary: int = 0  # control steps of random motion that begin each try, so that it is tried from many places
    clock: Callable[[], float] = time.time
    limit: int = 0  # transitions in the queue at which practice ends; 0: never
    halted: str = ""  # why the robot stands still although it should act: a full disk
    order: Order = field(init=False)
    _policy: ExploringPolicy | None = field(default=None, init=False)
    _version: int = field(default=0, init=False)
    _episode: int = field(default=-1, init=False)
    _pending: Executed | None = field(default=None, init=False)  # executed, but not stored yet

    def begin(self) -> None:
        """Start, or go on after a kill; the world is set up already."""
        self._follow(self.supervisor.begin())

    def resume(self) -> None:
        """Go on after help was given."""
        self._follow(self.supervisor.resume())

    @property
    def episode(self) -> int:
        """Number of the try that runs or ended last; -1 before the first."""
        return self._episode

    @property
    def finished(self) -> bool:
        """Whether the queue holds as many transitions as were asked for."""
        return bool(self.limit) and self._pending is None and self.queue.count() >= self.limit

    def tick(self) -> Order:
        """One control step: act, record, and take the next order.

        While `halted` says why, nothing moves; call it again when there may be room.
        """
        if not self._stored() or (self.order.mode == "act" and not self._room()):
            return self.order
        self.halted = ""
        {"act": self._act, "perturb": self._perturb, "home": self._home, "wait": self._wait}[
            self.order.mode
        ]()
        return self.order

    def _room(self) -> bool:
        self.halted = self.queue.room()
        return not self.halted

    def _act(self) -> None:
        if self.order.begins:
            self._begin_try()
        state = self._view(self.world.observe())
        varies = self.supervisor.state.step < self.vary
        outcome = self.world.step(self._drifting() if varies else self._policy.act(state, self._rng))
        order = self.supervisor.tick(_seen(outcome))
        last = self.limit and self.queue.count() + 1 >= self.limit
        ended = order.ended or ("cut" if last else "")
        self._pending = Executed(
            self._episode,
            self.order.task,
            state,
            outcome.action,
            outcome.reward,
            self._view(outcome.state),
            terminated=ended == "fell",
            truncated=ended not in ("", "fell"),
            success=outcome.success,
            intervention=outcome.intervention,
            weights=self._version,
            stamp=self.clock(),
            ended=ended,
        )
        self._stored()
        self._follow(order)

    def _begin_try(self) -> None:
        self._episode = self.queue.next_episode()
        self._rng = np.random.default_rng([self.seed, 1, self._episode])
        self._drift = 0.0
        self._take_weights()
        names = self._policy.spec.state_names
        self._view = View(names, self.order.task, self.world.state_names)

    def _take_weights(self) -> None:
        version = self.ledger.current()
        if version is None:
            raise RobotRLError(f"{self.ledger.root} holds no weights to act with; start the learner first")
        if version.number != self._version:
            self._policy = ExploringPolicy.load(self.ledger.folder(version.number), self.noise)
            self._version = version.number

    @property
    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        if self._policy is None:
            self._take_weights()
        spec = self._policy.spec
        return np.float32(spec.action_low), np.float32(spec.action_high)

    def _perturb(self) -> None:
        if self.supervisor.state.step == 0:
            self._rng = np.random.default_rng([self.seed, 2, self.supervisor.state.perturbations])
            self._drift = 0.0
        self._follow(self.supervisor.tick(_seen(self.world.step(self._drifting()))))

    def _drifting(self) -> np.ndarray:
        """An action (A,) of a random motion that goes on."""
        low, high = self._limits
        self._drift = _KEEP * self._drift + _STEP * self._rng.normal(size=len(low))
        return (low + (np.clip(self._drift, -1, 1) + 1) / 2 * (high - low)).astype(np.float32)

    def _home(self) -> None:
        action = self.world.home_action()
        if action is None:
            self._follow(self.supervisor.tick(Seen(arrived=True)))
        else:
            self._follow(self.supervisor.tick(_seen(self.world.step(action))))

    def _wait(self) -> None:
        self._follow(self.supervisor.tick(Seen()))

    def _stored(self) -> bool:
        """Store what was executed; False while the disk takes no more."""
        if self._pending is None:
            return True
        try:
            self.queue.append(self._pending)
        except QueueFull as error:
            self.halted = str(error)
            return False
        self._pending = None
        return True

    def _follow(self, order: Order) -> None:
        """Take an order; keep what a killed process goes on from, where a try ended or the mode changed."""
        before = getattr(self, "order", None)
        self.order = order
        if self._version and order.ended in ("success", *FAILURES):
            success = int(order.ended == "success")
            self.ledger.note(self._version, {order.ended_task: (1, success)}, "practice")
        if before is None or order.task != before.task or order.begins:
            self.world.switch(order.task)
        if before is None or order.ended or order.mode != before.mode:
            self.supervisor.save(self.folder / SUPERVISOR)


def _seen(outcome: Outcome) -> Seen:
    o = outcome
    return Seen(o.success, o.reward, o.out_of_reach, o.fell, o.intervention)
