"""A policy under a supervisor's instruction: which task it acts for, and what is wished in its place.

A policy of one task needs no instruction; one of several wishes nothing before the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robot_rl.deploy.home_way import HomeWay
from robot_rl.deploy.instruction import Instruction
from robot_rl.errors import BadInput, nearest
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.conditioning import PREFIX, tasks_of
from robot_rl.policies.exploring import ExploringPolicy
from robot_rl.policies.policy import checked_state
from robot_rl.specs.robot_contract import RobotContract

_KEEP, _STEP = 0.85, 0.4  # Ornstein–Uhlenbeck noise of a perturbation, in units of an action's half range


class Following:
    """What is to be done now, in terms of a contract's actions and a policy's state."""

    def __init__(self, contract: RobotContract, spec: PolicyDescription) -> None:
        self.tasks = tasks_of(spec.state_names)
        self.instruction: Instruction | None = None
        self._names = spec.action_names
        self._low, self._high = np.array(spec.action_low), np.array(spec.action_high)
        channels = contract.channels()
        # Where a command of 0 is rest; a position rests where it was last commanded to be.
        self._rest = {
            name: -channel.offset / channel.scale
            for name, channel in channels.items()
            if contract.kind_of(name) != "position"
        }
        self._home = HomeWay(contract) if contract.home else None
        self._executed: dict[str, float] = {}
        self._drift, self._rng = np.zeros(len(self._names)), np.random.default_rng(0)

    def follow(self, text: str) -> dict[str, float]:
        """Take an instruction; returns the parts of the state that name its task. Raises BadInput."""
        made = Instruction.of_text(text)
        if not self.tasks:
            raise BadInput("the policy is of one task and takes no instruction")
        if made.task not in self.tasks:
            raise BadInput(
                f"the policy was not trained for task '{made.task}'.{nearest(made.task, self.tasks)}"
            )
        if made.mode == "home" and self._home is None:
            raise BadInput("the robot's contract has no way home")
        if made != self.instruction and self._home is not None:
            self._home.begin()
        if made != self.instruction:
            self._drift, self._rng = np.zeros(len(self._names)), np.random.default_rng(made.number)
        self.instruction = made
        return {PREFIX + task: float(task == made.task) for task in self.tasks}

    def executed(self, actions: Mapping[str, float]) -> None:
        """Note what was executed, where a position rests."""
        self._executed.update(actions)

    def instead(self, measured: Mapping[str, float]) -> dict[str, float] | None:
        """What is wished in place of the policy's action, None while it acts; from what was `measured` last.

        Raises BadInput before the first instruction, and where a position to rest at is not known.
        """
        if not self.tasks:
            return None
        if self.instruction is None:
            raise BadInput("no instruction has been heard; is supervisor_node running?")
        if self.instruction.mode == "act":
            return None
        if self.instruction.mode == "perturb":
            return self._shaken()
        known = self._executed | self._rest
        if missing := [name for name in self._names if name not in known]:
            raise BadInput(f"where '{missing[0]}' may rest is not known before it was commanded")
        rest = {name: known[name] for name in self._names}
        if self.instruction.mode == "wait":
            return rest
        wish = self._home.wish(measured)
        return rest | {name: wish[name] for name in self._names if name in wish}

    def _shaken(self) -> dict[str, float]:
        self._drift = _KEEP * self._drift + _STEP * self._rng.normal(size=len(self._drift))
        action = self._low + (np.clip(self._drift, -1, 1) + 1) / 2 * (self._high - self._low)
        return dict(zip(self._names, action.tolist(), strict=True))


class Exploring:
    """A policy of states that acts with the noise that its learner explores with."""

    def __init__(self, folder: str | Path, noise: float) -> None:
        """`noise` is in the checkpoint's own standard deviations; raises BadInput."""
        self._policy, self._rng = ExploringPolicy.load(folder, noise), np.random.default_rng()
        self.spec = self._policy.spec

    def act(self, observation: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
        """Draw the action (A,) for a state (S,); raises BadInput for a value that is not finite."""
        return self._policy.act(checked_state(observation, self.spec.state_names), self._rng)

    def reset(self) -> None:
        """Nothing to forget."""
