"""The last word on what a robot is told: limits, watchdogs, e-stop and a person's intervention.

Free of ROS: the guard node tells it what was heard and when, and publishes what `tick` returns. It trusts
nobody: not the policy, not the sensors, not the clocks, not a teleoperator's link.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import numpy as np

from robot_rl.deploy.limiter import Limiter
from robot_rl.deploy.output import MOVING, Counts, Mode, Output
from robot_rl.deploy.sources import Sources
from robot_rl.deploy.start import Start
from robot_rl.deploy.teleoperation import Teleoperation
from robot_rl.deploy.wishes import Wishes
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract

_SOONEST = 0.5  # periods; commands are never closer together, but for the first of a stop
_AGAIN = 0.9  # periods after which a stop or a person's command is sent again; ticks are not punctual
_LATE = 1.5  # periods after which the policy's last wish is sent again
_LEAST_AUTHORITY = 0.05


class Guard:
    """Decides every command of one robot. Times are s: `now` monotonic, `wall` of the clock that stamps."""

    def __init__(self, contract: RobotContract) -> None:
        self.contract, self.counts = contract, Counts()
        self.mode, self.why = Mode.INACTIVE, "not enabled"
        self._limiter = Limiter(contract)
        self._channels = contract.channels()
        self._sources = Sources(contract)
        self._start = Start(contract, self._sources)
        self._wishes = Wishes(contract)
        self._person = Teleoperation(contract)
        self._latched = ""  # a fault that a person has to look at
        self._estop = ""
        self._ours = False  # the robot follows our commands: `_limiter.last` is in force
        self._stop_due = False  # a stop that has begun is not yet told
        self._wall = self._now = self._sent_at = self._ramp_from = self._stopped_at = float("-inf")

    # What is heard.

    def heard(
        self, source: str, values: Mapping[str, float], stamp: float | None, wall: float, now: float
    ) -> None:
        """Note the state parts of a source, or (with none) a picture of a camera that the contract requires.

        Readings that lack a part, are not finite or out of order do not count, nor do unknown sources.
        """
        self._sources.heard(source, values, stamp, wall, now)
        if self.mode in (*MOVING, Mode.STOPPED):
            self._latch(self._sources.alarm())

    def misread(self, source: str, why: str) -> None:
        """Note a message of a source that could not be used: it does not count as heard."""
        self._sources.misread(source, why)

    def wished(
        self, wish: Mapping[str, float], stamp: float, wall: float, now: float, policy: str = ""
    ) -> None:
        """Note what the policy wishes, action -> value in the policy's units; what is wrong with it latches.

        `policy` names its weights: when they change, authority ramps up anew.
        """
        before = self._wishes.policy
        wrong = self._wishes.heard(wish, stamp, wall, now, policy)
        if wrong:
            self.counts.bad_wishes += 1
            self._latch(f"the policy wished {wrong}; look at the policy, then reset")
        elif before not in (None, self._wishes.policy):
            self._ramp_from = now

    def override(self, values: Mapping[str, float], now: float) -> None:
        """Note a person's commands, action -> value in the channel's unit, for some or all actions."""
        wrong = self._person.heard(values, now)
        if wrong:
            self._latch(f"{wrong}; look at the teleoperation, then reset")

    def hold(self, held: bool, now: float) -> None:
        """Note whether a person holds the robot; letting go gives it back to the policy, ramped."""
        if self._person.held and not held:
            self._ramp_from = now
        self._person.hold(held, now)

    def publishers(self, topic: str, count: int) -> None:
        """Note how many publish to a command topic; only the guard may."""
        if count > 1:
            self._latch(f"{count - 1} other publisher(s) on '{topic}': end them, then reset")

    # What a person decides.

    def estop(self, why: str = "e-stop") -> None:
        """Stop now and stay stopped until `reset`."""
        self._stop_due = self._stop_due or not self._estop
        self._estop = why or "e-stop"

    def reset(self) -> None:
        """Forget e-stop and latched faults; the robot stays inactive until it is enabled again."""
        self._sources.forget_jumps()
        self._wishes.expect(float("-inf"))
        self._estop = self._latched = ""
        self._stop_due = self._stop_due or self.mode in MOVING
        self._to(Mode.INACTIVE, "not enabled")

    def enable(self, wall: float, now: float) -> None:
        """Let the policy's wishes through; raises BadInput saying what still stands against it."""
        if self._estop:
            raise BadInput(f"not enabled: e-stop: {self._estop}; reset it first")
        why = self._latched or self._sources.alarm() or self._sources.problem(wall, now)
        if why := why or self._person.vanished(now):
            raise BadInput(f"not enabled: {why}")
        if self.mode in MOVING:
            return  # to begin anew in the middle of a motion would be a jump
        if outside := self._begin():
            raise BadInput(f"not enabled: {outside}")
        self._wishes.expect(now)
        self._ramp_from = now
        # A stop that was decided but not yet told comes first.
        self._ours, self._stop_due = True, self._stop_due and self._ours
        self._to(Mode.RUNNING, "")

    def disable(self) -> None:
        """Stop, and command nothing more."""
        self._stop_due = self._stop_due or self._ours
        self._to(Mode.INACTIVE, "disabled")

    # What is published.

    def tick(self, wall: float, now: float) -> Output:
        """Decide what to publish; call at each wish and, as a watchdog, at least twice a period."""
        wall, now = self._believed(wall, now)
        self._judge(wall, now)
        if self.mode in MOVING and not self._stop_due:
            return self._command(wall, now)
        return self._stop(wall, now)

    def _believed(self, wall: float, now: float) -> tuple[float, float]:
        """Times that can be computed with; latches where our own clock cannot be believed."""
        if not (isfinite(wall) and isfinite(now)):
            self._latch("our own clock gives no time; restart the guard")
            return self._wall, self._now
        if now < self._now - self.contract.period:
            self._latch(f"our monotonic clock went back by {self._now - now:.3g} s; look at it, then reset")
            self._sources.forget()
            self._person.forget(now)
            self._sent_at, self._now = min(self._sent_at, now), now
        self._wall, self._now = wall, max(now, self._now)
        return self._wall, self._now

    def _judge(self, wall: float, now: float) -> None:
        """Move between modes."""
        if self._estop:
            self._to(Mode.ESTOP, f"e-stop: {self._estop}; reset, then enable")
            return
        if self.mode is Mode.INACTIVE:
            return
        self._latch(self._sources.alarm() or self._person.vanished(now))
        wrong = self._latched or self._sources.problem(wall, now)
        wrong = wrong or ("" if self._person.held else self._wishes.silent(now))
        if wrong:
            if self.mode is not Mode.STOPPED:
                self._stopped_at, self._stop_due = now, True
                self.counts.stops += 1
            self._to(Mode.STOPPED, wrong)
        elif self.mode is Mode.STOPPED:
            self._resume(now)
        if self.mode in MOVING:
            self._to(Mode.INTERVENTION if self._person.held else Mode.RUNNING, "")

    def _resume(self, now: float) -> None:
        """Go on after a stop that was short; a longer one is a person's to end."""
        longest = self.contract.stop.resume_within
        if now - self._stopped_at <= longest:
            outside = self._begin()
            self._latch(outside and f"{outside}, reset, then enable")
        else:
            self._latch(f"stopped for more than {longest:g} s ({self.why}); reset, then enable")
        if self._latched:
            self.why = self._latched
            return
        self._ramp_from = now
        self._to(Mode.RUNNING, "")

    def _command(self, wall: float, now: float) -> Output:
        """The next command within limits, or nothing if the last one was just sent."""
        held = self.mode is Mode.INTERVENTION
        said = self._person if held else self._wishes
        elapsed, patience = now - self._sent_at, _AGAIN if held else _LATE
        if elapsed < (_SOONEST if said.fresh else patience) * self.contract.period:
            return Output(self.mode)
        last = self._limiter.last
        wish = self._person.wish(last, now) if held else self._wishes.values
        ages = self._sources.ages(wall, now)
        limited = self._limiter(
            last if wish is None else wish, elapsed, self._sources.measured, self._authority(now), ages
        )
        self.counts.command(limited.hits, late=not held and not said.fresh and wish is not None)
        said.fresh, self._sent_at = False, now
        commands = dict(zip(self._limiter.actions, limited.command.tolist(), strict=True))
        return Output(self.mode, commands, hits=limited.hits)

    def _stop(self, wall: float, now: float) -> Output:
        """The contract's stop command: at once when it begins, then each period; inactive once at most."""
        if self.mode is Mode.INACTIVE and not (self._ours and self._stop_due):
            self._ours = False
            return Output(self.mode, why=self.why)
        if not self._stop_due and now - self._sent_at < _AGAIN * self.contract.period:
            return Output(self.mode, why=self.why)
        if self.contract.stop.mode == "damp":
            commands = None
        elif self.contract.stop.mode == "zero":
            self._limiter.rest_at(np.zeros(len(self._channels)))
            commands = dict.fromkeys(self._limiter.actions, 0.0)
        elif not self._ours and (unknown := self._start.unknown(wall, now)):
            return Output(
                self.mode, why=f"{self.why}; nothing of ours moves it, and no hold is sent: {unknown}"
            )
        else:
            self._limiter.rest_at(self._limiter.last if self._ours else self._start.command())
            commands = dict(zip(self._limiter.actions, self._limiter.last.tolist(), strict=True))
        self._ours, self._stop_due, self._sent_at = self.mode is not Mode.INACTIVE, False, now
        return Output(self.mode, commands, damp=commands is None, why=self.why)

    def _authority(self, now: float) -> float:
        ramp = self.contract.ramp
        return 1.0 if ramp == 0 else float(np.clip((now - self._ramp_from) / ramp, _LEAST_AUTHORITY, 1.0))

    def _begin(self) -> str:
        """Rest where motion may begin: where the robot is held, or where it stands; or say why it may not."""
        if self.contract.stop.mode == "hold" and (self.mode is Mode.STOPPED or self._ours):
            self._limiter.rest_at(self._limiter.last)
            return ""
        if outside := self._start.outside():
            return outside
        self._limiter.rest_at(self._start.command())
        return ""

    def _latch(self, why: str) -> None:
        self._latched = self._latched or why

    def _to(self, mode: Mode, why: str) -> None:
        self.mode, self.why = mode, why
