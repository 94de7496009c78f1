"""Puts what several topics say together into control steps: seen, executed, and what it led to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_rl.deploy.interface import StateBuilder
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.conditioning import measured
from robot_rl.specs.robot_contract import RobotContract


@dataclass(frozen=True)
class Step:
    """One control step, whole."""

    state: np.ndarray  # (N,) float32, the measured parts when the command was given
    action: np.ndarray  # (A,) float32, as executed, in the policy's units
    reward: float
    success: float  # probability that the goal is reached afterwards
    next_state: np.ndarray  # (N,) float32, when the next command was given
    intervention: bool
    weights: str  # version of the policy that wished it
    stamp: float  # s, of the command


_STALE = 1.0  # s; what was judged longer ago is not of this step


class ControlSteps:
    """Makes a step of each command, once the next one is given; times are s of the clock that stamps."""

    def __init__(self, contract: RobotContract, spec: PolicyDescription) -> None:
        self.state_names = measured(spec.state_names)
        self._actions = spec.action_names
        self._state = StateBuilder(contract, self.state_names)
        self.weights = ""  # of the latest wish
        self._total: float | None = None  # of a simulation's rewards
        self._open: Step | None = None
        self._reward, self._success, self._judged = 0.0, 0.0, float("-inf")

    def heard(self, values: Mapping[str, float]) -> None:
        """Note the state parts of a source."""
        self._state.heard(values)

    def judged(self, now: float, reward: float | None = None, success: float | None = None) -> None:
        """Note what was said since the latest command."""
        self._reward = self._reward if reward is None else reward
        self._success = self._success if success is None else success
        self._judged = now

    def simulated(self, now: float, total: float, reached: bool) -> None:
        """Note a simulation's sum of rewards, and whether the goal is reached now."""
        self.judged(now, success=float(reached))
        if self._total is not None:
            self._reward += total - self._total
        self._total = total

    def executed(
        self, actions: Mapping[str, float], stamp: float, intervention: bool, once: bool = False
    ) -> Step | None:
        """Note a command; returns the step of the one before it.

        With `once`, rewards are of one step and begin at 0 with each command, as a simulation's do. Raises
        BadInput for a source that was not heard, and where nobody judges what happens any more.
        """
        state = self._state()
        if stamp - self._judged > _STALE:
            self.cut()
            raise BadInput(
                f"no reward or success has been heard for {_STALE:g} s; is reward_node (or the simulation) "
                "running?"
            )
        whole = None
        if self._open is not None:
            o = self._open
            whole = Step(
                o.state, o.action, self._reward, self._success, state, o.intervention, o.weights, o.stamp
            )
        action = np.array([actions[name] for name in self._actions], np.float32)
        self._open = Step(state, action, 0.0, 0.0, state, intervention, self.weights, stamp)
        self._state.executed(actions)
        if once:
            self._reward = 0.0
        return whole

    def cut(self) -> None:
        """Forget the open step: what follows does not continue it."""
        self._open = None
