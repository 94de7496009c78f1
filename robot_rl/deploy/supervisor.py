"""Decides what a robot that practises without resets does next: a task, home, shake loose, or wait.

A pure state machine, free of ROS and of clocks: `tick` is told what one control step led to and says what the
next one is for. Its whole state is JSON, so that a killed process goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from robot_rl.data.layout import read_json
from robot_rl.deploy.supervisor_rules import Rules
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import write_atomically

Mode = Literal["act", "perturb", "home", "wait"]
# Why a try ended. "already": the goal held from its first steps on, so nothing was shown; "assisted": success
# after a person's intervention in this try; "broken": the process was killed in its middle.
ENDS = ("success", "already", "assisted", "time_out", "fell", "stuck", "out_of_reach", "broken")
FAILURES = ("time_out", "fell", "stuck", "out_of_reach")


@dataclass(frozen=True)
class Seen:
    """What one control step led to."""

    success: float = 0.0  # probability that the present task's goal is reached
    progress: float | None = None  # rises towards the goal (a reward, say); None where nothing measures it
    out_of_reach: bool = False  # the object cannot be reached any more
    fell: bool = False  # the robot lies on the ground, which ends a try at once
    intervention: bool = False  # a person's command was executed, not the policy's
    arrived: bool = False  # the robot is home; looked at in mode "home"


@dataclass(frozen=True)
class Order:
    """What the next control step is for."""

    mode: Mode  # act: the policy; perturb: random motion; home: go home; wait: stand still until helped
    task: str  # of the policy's instruction
    ended: str = ""  # why the try that ran until now ended with the step that was told, one of ENDS
    ended_task: str = ""  # whose try ended
    begins: bool = False  # a try begins with the next step
    help: str = ""  # in mode wait: what a person is asked for


@dataclass
class Counts:
    """What became of the tries of one task."""

    tries: int = 0  # ended ones
    ends: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDS, 0))
    steps: int = 0  # control steps in mode act
    in_vain: int = 0  # failed tries since its last success or perturbation
    perturbed: int = 0  # perturbations for it since its last success


@dataclass
class State:
    """All that a supervisor remembers; plain values, so that it is JSON."""

    task: str
    mode: Mode = "act"
    step: int = 0  # control steps in this mode (in mode act: in this try)
    own: int = 0  # … of them by the policy; a person's do not use up the try's time
    running: bool = False  # a try has begun and not ended
    reached: int = 0  # steps in a row on which the goal seemed reached
    first_steps_reached: bool = True  # … on each step of this try so far
    best: float | None = None  # progress in this try
    best_step: int = 0  # … `own` then
    helped: bool = False  # a person intervened in this try
    intervening: bool = False
    asked: str = ""
    resets: int = 0
    interventions: int = 0
    intervention_steps: int = 0
    perturbations: int = 0
    asked_for_help: int = 0
    falls: int = 0  # tries that ended by one
    down: bool = False  # it has fallen and not stood up since
    get_ups: int = 0  # falls after which it stood again by itself
    homes_in_vain: int = 0  # ways home in a row that did not lead there
    steps: int = 0  # control steps in all, waiting included
    waited: int = 0  # control steps in mode wait
    counts: dict[str, Counts] = field(default_factory=dict)


class Supervisor:
    """Alternates two tasks that undo each other, or repeats one that goes on by itself.

    It notices when that does not work any more.
    """

    def __init__(self, rules: Rules, state: State | None = None) -> None:
        self.rules = rules
        self.state = state or State(task=rules.tasks[0])
        for task in rules.tasks:
            self.state.counts.setdefault(task, Counts())

    # Time.

    @property
    def minutes(self) -> float:
        """Minutes of robot time so far, waiting left out."""
        return (self.state.steps - self.state.waited) / self.rules.control_rate / 60

    # The steps.

    def begin(self) -> Order:
        """Start, or go on after a kill: a try that was cut is closed as "broken" and begins anew."""
        s = self.state
        ended = ""
        if s.running:
            ended = self._close("broken")
        if s.mode == "wait":
            return self._order(ended=ended, ended_task=s.task if ended else "")
        return self._prepare(s.task, ended, s.task if ended else "")

    def tick(self, seen: Seen) -> Order:
        """Take what one control step led to, and say what the next one is for."""
        self.state.steps += 1
        released = self._note_person(seen.intervention)
        return getattr(self, f"_in_{self.state.mode}")(seen, released)

    def resume(self) -> Order:
        """Go on after help was given (mode wait), with a fresh count of what was in vain."""
        s = self.state
        if s.mode != "wait":
            return self._order()
        for counts in s.counts.values():
            counts.in_vain = counts.perturbed = 0
        s.asked, s.homes_in_vain, s.down = "", 0, False
        return self._prepare(s.task)

    def count_reset(self) -> None:
        """Note that the world was set up by hand (or anew, in simulation)."""
        self.state.resets += 1

    def _note_person(self, intervention: bool) -> bool:
        """Count interventions by their beginnings; returns whether one has just ended."""
        s = self.state
        released = s.intervening and not intervention
        if intervention:
            s.intervention_steps += 1
            s.interventions += not s.intervening
            s.helped = s.helped or s.running
        s.intervening = intervention
        return released

    def _in_act(self, seen: Seen, _: bool) -> Order:
        s, rules = self.state, self.rules
        begins_now = not s.running
        if begins_now:
            self._begin_try()
        s.step += 1
        s.own += not seen.intervention
        s.counts[s.task].steps += 1
        reached = rules.reached(s.task, seen.success)
        s.reached = s.reached + 1 if reached else 0
        s.first_steps_reached = s.first_steps_reached and reached
        self._note_progress(seen)
        why = self._why_ended(seen)
        return self._after(why) if why else self._order()

    def _note_progress(self, seen: Seen) -> None:
        s = self.state
        if seen.progress is not None and (
            s.best is None or seen.progress >= s.best + self.rules.least_progress
        ):
            s.best, s.best_step = seen.progress, s.own

    def _why_ended(self, seen: Seen) -> str:
        """Why the try ends with this step, or ""; a person who is at work is not interrupted by a failure."""
        s, rules = self.state, self.rules
        if s.reached >= rules.hold:
            if s.first_steps_reached:
                return "already"
            return "assisted" if s.helped else "success"
        if seen.intervention:
            return ""
        if seen.fell:
            return "fell"
        if seen.out_of_reach:
            return "out_of_reach"
        if s.own >= rules.time_out[s.task]:
            return "time_out"
        watched = rules.window and seen.progress is not None
        return "stuck" if watched and s.own - s.best_step >= rules.window else ""

    def _after(self, why: str) -> Order:
        """Close the try, and choose between the next task, a perturbation and a call for help."""
        s, rules = self.state, self.rules
        task = self._close(why) and s.task
        counts = s.counts[task]
        s.task = rules.other(task)
        told = {"ended": why, "ended_task": task}
        in_vain = rules.tries and counts.in_vain >= rules.tries
        if why not in FAILURES or not (why == "out_of_reach" or in_vain):
            return self._prepare(s.task, **told)
        if counts.perturbed >= rules.perturbations:
            return self._call(why, **told)
        counts.perturbed, counts.in_vain = counts.perturbed + 1, 0
        return self._perturb(**told)

    def _in_perturb(self, seen: Seen, _: bool) -> Order:
        s = self.state
        if not seen.intervention:
            s.step += 1
        return self._prepare(s.task) if s.step >= self.rules.perturb_steps else self._order()

    def _in_home(self, seen: Seen, _: bool) -> Order:
        s = self.state
        if not seen.intervention:
            s.step += 1
        if seen.arrived and not seen.intervention:
            s.get_ups, s.down, s.homes_in_vain = s.get_ups + s.down, False, 0
            return self._act()
        if s.step < self.rules.home_steps:
            return self._order()
        return self._not_home() if self.rules.only_from_home else self._act()

    def _not_home(self) -> Order:
        """Shake loose and try again; ask for help where that was in vain too."""
        s = self.state
        s.homes_in_vain += 1
        return self._perturb() if s.homes_in_vain <= self.rules.perturbations else self._call("not_home")

    def _in_wait(self, seen: Seen, released: bool) -> Order:
        self.state.waited += 1
        return self.resume() if released else self._order()

    # Changes of mode.

    def _prepare(self, task: str, ended: str = "", ended_task: str = "") -> Order:
        """Go home first where the rules say so, then act."""
        s = self.state
        s.task, s.step = task, 0
        if self.rules.home_steps:
            s.mode = "home"
            return self._order(ended=ended, ended_task=ended_task)
        return self._act(ended=ended, ended_task=ended_task)

    def _perturb(self, **told: str) -> Order:
        s = self.state
        s.mode, s.step, s.perturbations = "perturb", 0, s.perturbations + 1
        return self._order(**told)

    def _call(self, why: str, **told: str) -> Order:
        """Wait for a person."""
        s = self.state
        s.mode, s.step, s.asked_for_help = "wait", 0, s.asked_for_help + 1
        s.asked = self.rules.call(told.get("ended_task", s.task), why)
        return self._order(**told)

    def _act(self, **told: str) -> Order:
        self.state.mode, self.state.step = "act", 0
        return self._order(begins=True, **told)

    def _begin_try(self) -> None:
        s = self.state
        s.running, s.step, s.own, s.reached, s.best, s.best_step = True, 0, 0, 0, None, 0
        s.first_steps_reached, s.helped = True, s.intervening

    def _close(self, why: str) -> str:
        """Count the end of the running try."""
        s = self.state
        counts = s.counts[s.task]
        s.running = False
        s.falls, s.down = s.falls + (why == "fell"), s.down or why == "fell"
        counts.tries += 1
        counts.ends[why] += 1
        if why in FAILURES:
            counts.in_vain += 1
        elif why in ("success", "assisted"):
            counts.in_vain = counts.perturbed = 0
        return why

    def _order(self, **told: Any) -> Order:
        return Order(self.state.mode, self.state.task, help=self.state.asked, **told)

    # On disk.

    def to_json(self) -> dict[str, Any]:
        """All that it remembers and its rules, as JSON gives it back."""
        return {"rules": self.rules.to_json(), "state": asdict(self.state)}

    def save(self, path: Path) -> None:
        """Write its state in one step; a kill leaves the old file or the new one."""
        write_atomically(Path(path), (json.dumps(self.to_json(), indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path, rules: Rules) -> Supervisor:
        """Go on from a saved state, or begin where there is none; `begin` must follow.

        Raises BadInput for a file of other tasks, or one that is no supervisor's.
        """
        path = Path(path)
        if not path.exists():
            return cls(rules)
        try:
            value = read_json(path)
            state = _state(value["state"])
        except (KeyError, TypeError) as error:
            raise BadInput(
                f"{path}: not a supervisor's state ({error}); move it away to begin anew"
            ) from error
        if sorted(state.counts) != sorted(rules.tasks):
            raise BadInput(
                f"{path}: is of the tasks {', '.join(state.counts)}, not {', '.join(rules.tasks)}; choose "
                "another folder"
            )
        return cls(rules, state)

    def summary(self) -> dict[str, float]:
        """Figures for a log: minutes, and per task the tries, successes and time-outs."""
        s, found = self.state, {"robot_minutes": round(self.minutes, 3)}
        for name in ("resets", "interventions", "intervention_steps", "perturbations", "asked_for_help",
                     "falls", "get_ups"):  # fmt: skip
            found[name] = getattr(s, name)
        for task, counts in s.counts.items():
            found |= {f"{task}/tries": counts.tries, f"{task}/success": counts.ends["success"]}
            found[f"{task}/time_outs"] = counts.ends["time_out"]
        return found


def _state(value: Mapping[str, Any]) -> State:
    none = dict.fromkeys(ENDS, 0)
    counts = {task: Counts(**one | {"ends": none | one["ends"]}) for task, one in value["counts"].items()}
    state = State(**{**value, "counts": counts})
    if state.task not in counts or state.mode not in ("act", "perturb", "home", "wait"):
        raise KeyError(f"task '{state.task}' in mode '{state.mode}'")
    return state
