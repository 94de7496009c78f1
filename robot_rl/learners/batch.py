"""Transitions as the learners see them: normalised, in one torch table, so that a batch is one gather."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robot_rl.data.replay import Transitions


class Batch(NamedTuple):
    """B transitions; states are standardised, actions lie in (-1, 1), rewards are standardised."""

    observations: Tensor  # (B, S) float32
    actions: Tensor  # (B, A)
    observations_actions: Tensor  # (B, S + A), for the critics
    rewards: Tensor  # (B,)
    masks: Tensor  # (B,): 1 - terminated
    next_observations: Tensor  # (B, S)


class TransitionTable:
    """N transitions in rows of next observation, observation, action, reward, mask."""

    def __init__(self, transitions: Transitions):
        t = transitions
        columns = [t.next_observations, t.observations, t.actions, t.rewards[:, None], t.masks[:, None]]
        self._rows = torch.from_numpy(np.concatenate(columns, 1).astype(np.float32))
        self._state, self._action = t.observations.shape[1], t.actions.shape[1]

    def __len__(self) -> int:
        return len(self._rows)

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw a batch uniformly, with replacement."""
        return self.rows(torch.randint(len(self._rows), (batch_size,), generator=generator))

    def rows(self, indices: Tensor) -> Batch:
        """The batch of the given rows (B,) int64."""
        rows, state = self._rows.index_select(0, indices), self._state
        actions = 2 * state
        rewards = actions + self._action
        return Batch(
            rows[:, state:actions],
            rows[:, actions:rewards],
            rows[:, state:rewards],
            rows[:, rewards],
            rows[:, rewards + 1],
            rows[:, :state],
        )
