"""One policy for several tasks: the state it sees ends in one number a task, 1 for the one asked for.

Their names are `task.<name>` among the policy spec's state_names; parts of the state that a task does not
have are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.errors import BadInput, nearest
from robot_rl.policies.checkpoint import PolicySpec
from robot_rl.policies.policy import Policy

PREFIX = "task."


def tasks_of(state_names: Sequence[str]) -> tuple[str, ...]:
    """The tasks between which a policy with these state parts is told apart; () for a policy of one task."""
    return tuple(name.removeprefix(PREFIX) for name in state_names if name.startswith(PREFIX))


def measured(state_names: Sequence[str]) -> tuple[str, ...]:
    """The parts that a robot measures: all but those that name a task."""
    return tuple(name for name in state_names if not name.startswith(PREFIX))


class View:
    """Puts what a source measures into a policy's state (S,), under a task's instruction."""

    def __init__(self, state_names: Sequence[str], task: str, source_names: Sequence[str]) -> None:
        """Take the policy's parts and the source's, both in order.

        Raises BadInput for a task that the policy does not know. A part of a policy of several tasks that the
        source lacks is 0; one of a policy of one task is an error of its own.
        """
        tasks = tasks_of(state_names)
        if tasks and task not in tasks:
            raise BadInput(f"the policy was not trained for task '{task}'.{nearest(task, tasks)}")
        source = list(source_names)
        pairs = [(k, source.index(name)) for k, name in enumerate(state_names) if name in source]
        missing = [name for name in measured(state_names) if name not in source]
        if missing and not tasks:
            raise BadInput(f"the policy sees '{missing[0]}'.{nearest(missing[0], source)}")
        self._to = np.array([place for place, _ in pairs], np.int64)
        self._from = np.array([place for _, place in pairs], np.int64)
        self._base = np.zeros(len(state_names), np.float32)
        if tasks:
            self._base[list(state_names).index(PREFIX + task)] = 1.0

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """The policy's states (..., S) of a source's (..., N)."""
        states = np.asarray(states, np.float32)
        found = np.broadcast_to(self._base, (*states.shape[:-1], len(self._base))).copy()
        found[..., self._to] = states[..., self._from]
        return found


class TaskPolicy:
    """A policy of several tasks under one instruction, given what is measured alone."""

    def __init__(self, policy: Policy, task: str, source_names: Sequence[str]) -> None:
        self.spec: PolicySpec = policy.spec
        self._policy, self._view = policy, View(policy.spec.state_names, task, source_names)

    def act(self, observation: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
        """Choose the action (A,) for the source's state (N,), or (B, A) for (B, N)."""
        state = observation["state"] if isinstance(observation, Mapping) else observation
        return self._policy.act(self._view(state))

    def reset(self) -> None:
        """Forget the past, at the start of an episode."""
        self._policy.reset()
