"""The last word on what a robot is told: limits, watchdogs, e-stop and a person's intervention.

Free of ROS: the guard node tells it what was heard and when, and publishes what `tick` returns. It trusts
nobody: not the policy, not the sensors, not the clocks, not a teleoperator's link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from robot_rl.deploy.limiter import Limiter
from robot_rl.deploy.watch import Watch
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract

_SOONEST = 0.5  # periods; commands are never closer together


class Mode(StrEnum):
    """What the guard is doing."""

    INACTIVE = "inactive"  # nothing is commanded; a person (or a simulation's launcher) must enable
    RUNNING = "running"  # the policy's wishes, within limits
    INTERVENTION = "intervention"  # a person's commands, within the same limits
    STOPPED = "stopped"  # the stop command, until what is wrong has gone
    ESTOP = "estop"  # the stop command, until a person resets


@dataclass(frozen=True)
class Output:
    """What to publish now: nothing where `commands` is None and `damp` is False."""

    mode: Mode
    commands: dict[str, float] | None = None  # action -> command in its channel's unit
    damp: bool = False
    hits: tuple[str, ...] = ()  # actions whose wish was changed by a limit
    why: str = ""  # why it is not running, and what to do


@dataclass
class Counts:
    """What has happened so far, for diagnostics."""

    commands: int = 0
    limited: int = 0
    bad_wishes: int = 0
    stops: int = 0
    late: int = 0  # commands repeated because no new wish had come
    hits: dict[str, int] = field(default_factory=dict)


class Guard:
    """Decides every command of one robot. Times are s: `now` monotonic, `wall` of the clock that stamps."""

    def __init__(self, contract: RobotContract) -> None:
        self.contract, self.counts = contract, Counts()
        self.mode, self.why = Mode.INACTIVE, "not enabled"
        self._limiter = Limiter(contract)
        self._channels = contract.channels()
        self._required = {n: Watch.of(n, s) for n, s in contract.sources.items() if s.required}
        self._measured: dict[str, float] = {}
        self._latched = ""  # a fault that a person has to look at
        self._estop = ""
        self._wish: np.ndarray | None = None
        self._policy: str | None = None
        self._wish_at = self._wish_stamp = self._ramp_from = self._stopped_at = float("-inf")
        self._override: np.ndarray | None = None
        self._override_at = float("-inf")
        self._held = False
        self._fresh = False  # a wish has come that was not yet sent
        self._sent_at = float("-inf")
        self._stop_told = False

    # What is heard.

    def heard(
        self, source: str, values: Mapping[str, float], stamp: float | None, wall: float, now: float
    ) -> None:
        """Note the state parts of a source; readings that are not finite or out of order do not count."""
        watch = self._required.get(source)
        wrong = [name for name, value in values.items() if not np.isfinite(value)]
        if wrong:
            self.misread(source, f"'{wrong[0]}' is {values[wrong[0]]}")
            return
        if watch is None or watch.heard(stamp, wall, now):
            self._measured.update(values)

    def misread(self, source: str, why: str) -> None:
        """Note a message of a source that could not be used: it does not count as heard."""
        if source in self._required:
            self._required[source].misread = why

    def wished(
        self, wish: Mapping[str, float], stamp: float, wall: float, now: float, policy: str = ""
    ) -> None:
        """Note what the policy wishes, action -> value in the policy's units; what is wrong with it latches.

        `policy` names its weights: when they change, authority ramps up anew.
        """
        if stamp <= self._wish_stamp:
            return
        wrong = _wrong_with(wish, self._channels)
        if wrong:
            self.counts.bad_wishes += 1
            self._latch(f"the policy wished {wrong}; look at the policy, then reset")
            return
        values = np.array([c.scale * wish[n] + c.offset for n, c in self._channels.items()])
        if wall - stamp > self.contract.wish_timeout:
            return
        if policy != self._policy:
            self._ramp_from, self._policy = (now if self._policy is not None else self._ramp_from), policy
        self._wish, self._wish_at, self._wish_stamp, self._fresh = values, now, stamp, True

    def override(self, values: Mapping[str, float], now: float) -> None:
        """Note a person's commands, action -> value in the channel's unit, for some or all actions."""
        known = {n: v for n, v in values.items() if n in self._channels}
        if not all(np.isfinite(v) for v in known.values()):
            self._latch("the teleoperator's command is not finite; look at the teleoperation, then reset")
            return
        if self._override is None:
            self._override = self._resting()
        for name, value in known.items():
            self._override[self._limiter.actions.index(name)] = value
        self._override_at = now

    def hold(self, held: bool, now: float) -> None:
        """Note whether a person holds the robot; letting go gives it back to the policy, ramped."""
        if held and not self._held:
            self._override, self._override_at = None, now
        if self._held and not held:
            self._ramp_from = now
        self._held = held

    def publishers(self, topic: str, count: int) -> None:
        """Note how many publish to a command topic; only the guard may."""
        if count > 1:
            self._latch(f"{count - 1} other publisher(s) on '{topic}': end them, then reset")

    # What a person decides.

    def estop(self, why: str = "e-stop") -> None:
        """Stop now and stay stopped until `reset`."""
        self._estop = why
        self._stop_told = False

    def reset(self) -> None:
        """Forget e-stop and latched faults; the robot stays inactive until it is enabled again."""
        for watch in self._required.values():
            if watch.jumped:
                watch.forget()
        self._estop = self._latched = ""
        self._wish = self._override = None
        self._to(Mode.INACTIVE, "not enabled")

    def enable(self, wall: float, now: float) -> None:
        """Let the policy's wishes through; raises BadInput saying what still stands against it."""
        why = self._estop and f"e-stop: {self._estop}; reset it first"
        why = why or self._latched or self._unhealthy(wall, now)
        if why:
            raise BadInput(f"not enabled: {why}")
        start = self._resting()
        self._check_start(start)
        self._limiter.rest_at(start)
        self._wish, self._stopped_at = None, float("-inf")
        self._ramp_from, self._wish_at = now, now  # the first wish has one time-out to come
        self._to(Mode.RUNNING, "")

    def disable(self) -> None:
        """Stop, and command nothing more."""
        self._stop_told = False
        self._to(Mode.INACTIVE, "disabled")

    # What is published.

    def tick(self, wall: float, now: float) -> Output:
        """Decide what to publish; call at each wish and, as a watchdog, at least twice a period."""
        self._judge(wall, now)
        if self.mode in (Mode.RUNNING, Mode.INTERVENTION):
            return self._command(now)
        if self.mode is Mode.INACTIVE and (self._stop_told or self.counts.commands == 0):
            return Output(self.mode, why=self.why)
        return self._stop(now)

    def _judge(self, wall: float, now: float) -> None:
        """Move between modes."""
        if self._estop:
            self._to(Mode.ESTOP, f"e-stop: {self._estop}; reset, then enable")
            return
        if self.mode is Mode.INACTIVE:
            return
        if self._held and now - self._override_at > self.contract.intervention.timeout:
            self._latch("the teleoperator vanished in the middle of an intervention; reset, then enable")
        wrong = self._latched or self._unhealthy(wall, now) or self._silent(now)
        if wrong:
            if self.mode is not Mode.STOPPED:
                self._stopped_at, self._stop_told = now, False
                self.counts.stops += 1
            self._to(Mode.STOPPED, wrong)
        elif self.mode is Mode.STOPPED:
            self._resume(now)
        if self.mode in (Mode.RUNNING, Mode.INTERVENTION):
            self._to(Mode.INTERVENTION if self._held else Mode.RUNNING, "")

    def _resume(self, now: float) -> None:
        """Go on after a stop that was short; a longer one is a person's to end."""
        if now - self._stopped_at <= self.contract.stop.resume_within:
            self._limiter.rest_at(
                self._limiter.last if self.contract.stop.mode == "hold" else self._resting()
            )
            self._ramp_from = now
            self._to(Mode.RUNNING, "")
        else:
            self._latch(
                f"stopped for more than {self.contract.stop.resume_within} s ({self.why}); reset, then enable"
            )
            self.why = self._latched

    def _command(self, now: float) -> Output:
        """The next command within limits, or nothing if the last one was just sent."""
        elapsed = now - self._sent_at
        if elapsed < _SOONEST * self.contract.period:
            return Output(self.mode)
        if self.mode is Mode.RUNNING and not self._fresh and elapsed < 1.5 * self.contract.period:
            return Output(self.mode)
        wish = self._override if self.mode is Mode.INTERVENTION else self._wish
        if wish is None:
            wish = self._limiter.last
        elif self.mode is Mode.RUNNING and not self._fresh:
            self.counts.late += 1
        limited = self._limiter(wish, elapsed, self._measured, self._authority(now))
        self._fresh, self._sent_at = False, now
        self.counts.commands += 1
        self.counts.limited += bool(limited.hits)
        for name in limited.hits:
            self.counts.hits[name] = self.counts.hits.get(name, 0) + 1
        commands = dict(zip(self._limiter.actions, limited.command.tolist(), strict=True))
        return Output(self.mode, commands, hits=limited.hits)

    def _stop(self, now: float) -> Output:
        """The contract's stop command: at once when it begins, then each period."""
        if self._stop_told and now - self._sent_at < self.contract.period:
            return Output(self.mode, why=self.why)
        self._stop_told, self._sent_at = True, now
        if self.contract.stop.mode == "damp":
            return Output(self.mode, damp=True, why=self.why)
        if self.contract.stop.mode == "hold":
            held = self._limiter.last if self.counts.commands else self._resting()
            if not self.counts.commands and not self._all_measured():
                return Output(
                    self.mode, why=self.why
                )  # nothing was commanded, and where it stands is not known
        else:
            held = np.zeros(len(self._channels))
        self._limiter.rest_at(held)
        return Output(self.mode, dict(zip(self._limiter.actions, held.tolist(), strict=True)), why=self.why)

    # What is wrong.

    def _unhealthy(self, wall: float, now: float) -> str:
        for watch in self._required.values():
            problem = watch.problem(wall, now)
            if watch.jumped:
                self._latch(f"{watch.jumped}; look at the robot's clock, then reset")
            if problem:
                return problem
        for part, (low, high) in self.contract.faults.items():
            value = self._measured.get(part, low)
            if not low <= value <= high:
                self._latch(
                    f"'{part}' is {value:.4g}, outside {low} to {high}; look at the robot, then reset"
                )
                return self._latched
        return ""

    def _silent(self, now: float) -> str:
        if self._held:
            return ""
        age = now - self._wish_at
        if age <= self.contract.wish_timeout:
            return ""
        limit = self.contract.wish_timeout
        told = f"the policy has been silent for {age:.3g} s (limit {limit:.3g} s)"
        return f"{told}: is policy_node running and active?"

    def _authority(self, now: float) -> float:
        ramp = self.contract.ramp
        return 1.0 if ramp == 0 else float(np.clip((now - self._ramp_from) / ramp, 0.05, 1.0))

    def _resting(self) -> np.ndarray:
        """Where a command begins (A,): where a position stands, 0 for velocities and efforts."""
        return np.array(
            [self._measured.get(c.measured, 0.0) if c.measured else 0.0 for c in self._channels.values()]
        )

    def _all_measured(self) -> bool:
        return all(c.measured is None or c.measured in self._measured for c in self._channels.values())

    def _check_start(self, start: np.ndarray) -> None:
        slack = self._limiter.rate * self.contract.period
        for index, (name, channel) in enumerate(self._channels.items()):
            if channel.measured and not (
                channel.low - slack[index] <= start[index] <= channel.high + slack[index]
            ):
                raise BadInput(
                    f"not enabled: '{channel.measured}' stands at {start[index]:.4g} {channel.unit}, outside "
                    f"{channel.low} to {channel.high} of '{name}'; bring it inside first"
                )

    def _latch(self, why: str) -> None:
        if not self._latched:
            self._latched, self._stop_told = why, False

    def _to(self, mode: Mode, why: str) -> None:
        self.mode, self.why = mode, why


def _wrong_with(wish: Mapping[str, float], known: Mapping[str, object]) -> str:
    """What is wrong with a wish, or ""."""
    if set(wish) != set(known):
        missing, extra = sorted(set(known) - set(wish)), sorted(set(wish) - set(known))
        return f"other actions than the contract has (missing {missing}, unknown {extra})"
    for name, value in wish.items():
        if not np.isfinite(value):
            return f"{value} for '{name}'"
    return ""
