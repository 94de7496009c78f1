"""Practice without resets on a robot behind topics: the policy acts elsewhere, here it is told and recorded.

Free of ROS. Each control step that was executed under the present instruction goes into the durable queue,
and to the supervisor, whose orders become instructions. New weights are handed to the policy between tries,
and judged by the robot's own tries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from robot_rl.deploy.control import version_of
from robot_rl.deploy.control_steps import ControlSteps, Step
from robot_rl.deploy.durable_queue import DurableQueue, Executed, QueueFull
from robot_rl.deploy.home_way import HomeWay
from robot_rl.deploy.instruction import Instruction
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.supervisor import FAILURES, Order, Seen, Supervisor
from robot_rl.deploy.verdict import Judging
from robot_rl.deploy.weights_ledger import WeightsLedger, settle_by_practice
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicySpec
from robot_rl.policies.conditioning import View

_PRACTICE = "practice"
_SWAP = 3.0  # s that the policy may take to exchange its weights; after that a try begins with the old ones
_WORLD = "world.txt"  # names the simulated world that was practised in last


class RemotePractice:
    """Follows a robot by what its nodes say; times are s of the clock that stamps."""

    def __init__(
        self,
        spec: PolicySpec,
        steps: ControlSteps,
        supervisor: Supervisor,
        queue: DurableQueue,
        ledger: WeightsLedger,
        folder: Path,
        *,
        judging: Judging | None = None,
        simulated: bool = False,
        reward: str = "true",
        limit: int = 0,
        home: HomeWay | None = None,
    ) -> None:
        """Rewards are what is said ("true", or a learned one), or 1 where the goal is reached ("success").

        Practice ends with `limit` stored transitions; 0: never.
        """
        self.supervisor, self.queue, self.ledger, self._folder = supervisor, queue, ledger, folder
        self._spec, self._steps, self._judging = spec, steps, judging or Judging()
        self._simulated, self._by_success, self._limit = simulated, reward == "success", limit
        self._home = home  # tells whether the robot is there, where the supervisor's rules send it home
        self._swapping = 0  # commands for which a try still waits for the policy's new weights
        self._names: dict[int, str] = {}  # number in the ledger -> the version's name, as wishes bear it
        self._episode: int | None = None  # None: the next step begins one
        self._heard = ""  # the instruction that the policy says it follows
        self._version = 0  # of the present try
        self.halted = ""  # why nothing moves although it should
        self._unstored: Executed | None = None
        self._number, self._world = queue.next_episode(), ""
        self.order: Order | None = None
        # Told of each try that ended: its episode, its task, and why.
        self.when_ended: Callable[[int, str, str], object] = lambda *_: None

    # What to tell the policy.

    @property
    def instruction(self) -> Instruction:
        """What is asked of the policy now."""
        if self.order is None or self.halted or self._swapping or self.finished:
            return Instruction("wait", self.supervisor.state.task, self._number)
        return Instruction(self.order.mode, self.order.task, self._number)

    @property
    def finished(self) -> bool:
        """Whether as many transitions are stored as were asked for."""
        return bool(self._limit) and self.queue.count() >= self._limit

    @property
    def learned(self) -> bool:
        """Whether it is finished, and the newest weights are of all that is stored."""
        newest = self.ledger.newest()
        return self.finished and newest is not None and newest.step >= self._limit

    @property
    def acting(self) -> bool:
        """Whether a try runs and is recorded."""
        return self._episode is not None

    def begin(self) -> bool:
        """Start, or go on after a kill, once there are weights; returns whether it has begun."""
        if self.order is None and self.ledger.current() is not None:
            self._follow(self.supervisor.begin())
        return self.order is not None

    def resume(self) -> str:
        """Go on after help was given; returns what is wrong, or ""."""
        if self.order is None or self.order.mode != "wait":
            return "it does not wait for help"
        self._follow(self.supervisor.resume())
        return ""

    def new_weights(self) -> Path | None:
        """The folder of the weights that the policy should have and has not; None in the middle of a try."""
        current = self.ledger.current()
        if current is None:
            return None
        acting = self._steps.weights
        between = self._swapping or not self.supervisor.state.running or not self._number_of(acting)
        folder = self.ledger.folder(current.number)
        return folder if between and acting != self._name(current.number) else None

    # What is heard.

    def follows(self, text: str) -> None:
        """Note the instruction that the policy says it follows."""
        self._heard = text

    def stopped(self) -> None:
        """Note that the robot is stopped, or not enabled: what comes later does not continue what was."""
        self._steps.cut()
        self._episode = None

    def executed(self, actions: Mapping[str, float], stamp: float, intervention: bool) -> None:
        """Note a command of a robot that is enabled."""
        try:
            step = self._steps.executed(actions, stamp, intervention, self._simulated)
        except BadInput as error:
            self.halted = str(error)
            return
        if self.order is None or not self._stored():
            return
        waited = self._swaps() or self.finished
        if waited or self._heard != self.instruction.to_text():
            self.stopped()  # the policy has not heard of it yet
            return
        before, self.halted = self.halted, self.queue.room() if self.order.mode == "act" else ""
        if before or self.halted:
            self.stopped()
        elif step is not None:
            self._take(step)

    def simulated(self, total: float, reached: bool, now: float) -> None:
        """Note a simulation's sum of rewards, and whether the goal is reached."""
        self._steps.simulated(now, total, reached)

    def in_world(self, world: str) -> None:
        """Note the name of a simulation's world; one that was set up anew has another, and is a reset."""
        if world != self._world:
            self._world, path = world, self._folder / _WORLD
            if not path.exists() or path.read_text() != world:
                self.supervisor.count_reset()
                path.write_text(world)

    def _swaps(self) -> bool:
        """Whether a try still waits for the policy's new weights."""
        if self._swapping:
            self._swapping = self._swapping - 1 if self.new_weights() is not None else 0
        return self._swapping > 0

    def _take(self, step: Step) -> None:
        seen = Seen(
            step.success, step.reward, intervention=step.intervention, arrived=self._arrived(step)
        )  # fmt: skip
        if self.order.mode != "act":
            self._follow(self.supervisor.tick(seen))
            return
        if self._episode is None:
            self._episode, self._version = self.queue.next_episode(), self._number_of(step.weights)
        task = self.order.task
        order = self.supervisor.tick(seen)
        last = self._limit and self.queue.count() + 1 >= self._limit
        ended = order.ended or ("cut" if last else "")
        view = View(self._spec.state_names, task, self._steps.state_names)
        reward = float(step.success >= self.supervisor.rules.threshold) if self._by_success else step.reward
        self._unstored = Executed(
            self._episode, task, view(step.state), step.action, reward, view(step.next_state),
            truncated=bool(ended), success=step.success, intervention=step.intervention,
            weights=self._version, stamp=step.stamp, ended=ended,
        )  # fmt: skip
        episode = self._episode
        self._stored()
        self._follow(order)
        if order.ended:
            self.when_ended(episode, task, order.ended)
        if last:
            self.supervisor.save(self._folder / SUPERVISOR)

    def _arrived(self, step: Step) -> bool:
        """Whether the robot is home."""
        names, values = self._steps.state_names, step.next_state.tolist()
        return self._home is not None and self._home.there(dict(zip(names, values, strict=True)))

    def _stored(self) -> bool:
        """Store what was executed; False while the disk takes no more."""
        if self._unstored is not None:
            try:
                self.queue.append(self._unstored)
            except QueueFull as error:
                self.halted = str(error)
                return False
            self._unstored = None
        return True

    def _number_of(self, version: str) -> int:
        """The newest number of weights in the ledger, 0 for others, such as those the robot began with."""
        numbers = (one.number for one in reversed(self.ledger.versions()))
        return next((number for number in numbers if version and self._name(number) == version), 0)

    def _name(self, number: int) -> str:
        """What wishes by these weights bear; "" where their folder is gone."""
        if number not in self._names and self.ledger.folder(number).exists():
            self._names[number] = version_of(self.ledger.folder(number))
        return self._names.get(number, "")

    def _follow(self, order: Order) -> None:
        """Take an order; keep what a killed process goes on from, and judge weights by their tries."""
        before, self.order = self.order, order
        if order.ended in ("success", *FAILURES) and self._version:
            self.ledger.note(self._version, {order.ended_task: (1, int(order.ended == "success"))}, _PRACTICE)
            settle_by_practice(self.ledger, self._judging, self.supervisor.rules.tasks)
        if before is None or order.begins or order.mode != before.mode:
            self._number += 1
            self.stopped()
            if order.begins and self.new_weights() is not None:
                self._swapping = round(_SWAP * self.supervisor.rules.control_rate)
        if before is None or order.ended or order.mode != before.mode:
            self.supervisor.save(self._folder / SUPERVISOR)

    def summary(self) -> dict[str, float | str]:
        """What to show: the mode, the task, stored transitions, and the supervisor's figures."""
        mode = "starting" if self.order is None else self.order.mode
        mode = "finished" if self.finished else mode
        found = {"mode": mode, "task": self.supervisor.state.task, "stored": self.queue.count()}
        help_ = self.order.help if self.order is not None and self.order.mode == "wait" else ""
        return found | self.supervisor.summary() | {"weights": self._version, "help": help_}
