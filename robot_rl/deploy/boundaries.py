"""Where a recording's episodes begin and end, and what was judged of them, from what the nodes say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from robot_rl.deploy.guard import Mode
from robot_rl.deploy.recording import Recording
from robot_rl.errors import BadInput

_LATE = 0.15  # s after the end in which what the last command led to may still arrive
_MOVING = (Mode.RUNNING, Mode.INTERVENTION)


class Boundaries:
    """Begins and ends the episodes of a recording; told things in order, at times in s of one clock.

    `reward` is sim, topic or "": where rewards come from.
    """

    def __init__(self, recording: Recording, reward: str = "", auto: bool = True) -> None:
        if reward not in ("", "sim", "topic"):
            raise BadInput(f"reward: must be sim, topic or empty, not '{reward}'")
        self._recording, self._reward, self._auto = recording, reward, auto
        self._weights = ""
        self._simulation: dict[str, Any] = {}
        self._elsewhere = False  # the simulation has gone on to another episode than the one that is recorded
        self._ending: tuple[str, float] | None = None  # why, and when (s)
        self._stopped = False  # by the guard, which may go on by itself
        self._pauses = 0
        if reward == "sim":
            recording.judged(reward=0.0)  # a simulation waits for the first command, and gives none before

    def start(self) -> None:
        """Begin an episode; one that is open ends."""
        self._ending, self._stopped, self._pauses, self._elsewhere = None, False, 0, False
        if self._reward == "sim":
            self._recording.judged(reward=0.0)
        told = {"weights": self._weights, "seed": self._simulation.get("seed")}
        self._recording.start({name: value for name, value in told.items() if value not in ("", None)})

    def stop(self, why: str, now: float, wait: float = _LATE) -> None:
        """End the episode in `wait` s: the last command's consequences must have had time to arrive."""
        if self._recording.running and (self._ending is None or self._stopped):
            self._ending, self._stopped = (why, now + wait), False

    def tick(self, now: float) -> None:
        """Do what is due at `now`."""
        if self._ending is not None and now >= self._ending[1]:
            self._recording.stop(self._ending[0], {"pauses": self._pauses})
            self._ending, self._stopped = None, False

    def guard(self, state: str, now: float) -> None:
        """Note the guard's state, "mode" or "mode: why"; a stop that it ends by itself is a pause."""
        if not self._auto:
            return
        mode, _, why = state.partition(": ")
        if mode in _MOVING:
            if self._stopped:
                self._ending, self._stopped, self._pauses = None, False, self._pauses + 1
            elif not self._recording.running or self._ending is not None:
                self.start()
        elif mode == Mode.STOPPED and self._recording.running and self._ending is None:
            self.stop(why, now, self._recording.contract.stop.resume_within + _LATE)
            self._stopped = True
        elif mode != Mode.STOPPED:
            self.stop(why or mode, now)

    def executed(self, actions: Mapping[str, float], stamp: float, mode: str, now: float) -> None:
        """Note a command of the guard and its mode, which may be heard before its state."""
        if mode in _MOVING:
            self.guard(mode, now)
            self._recording.executed(actions, stamp, mode == Mode.INTERVENTION)

    def weights(self, version: str) -> None:
        """Note the version of the weights that wish."""
        self._weights = version

    def rewarded(self, reward: float) -> None:
        """Note a learned reward."""
        if self._reward == "topic":
            self._recording.judged(reward=reward)

    def succeeded(self, success: bool) -> None:
        """Note whether the task is done."""
        self._recording.judged(success=success)

    def simulated(self, text: str) -> None:
        """Note a simulation's account of its episode (JSON: seed, steps, success, return)."""
        before, told = self._simulation, json.loads(text)
        anew = bool(before) and (told["seed"] != before["seed"] or told["steps"] < before["steps"])
        self._simulation = told
        if anew and self._recording.running and self._ending is None:
            self.start()  # it was reset under a running policy
        elif anew:
            self._elsewhere = True
        if self._elsewhere or told["steps"] == 0:
            return
        self._recording.judged(success=told["success"])
        if self._reward == "sim":
            since = before["return"] if before and not anew else 0.0
            self._recording.judged(reward=told["return"] - since)
