"""Transitions as the learners see them: normalised, in one torch table, so that a batch is one gather."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput


class Batch(NamedTuple):
    """B transitions; states are standardised, actions lie in (-1, 1), rewards are standardised."""

    observations: Tensor  # (B, S) float32
    actions: Tensor  # (B, A)
    observations_actions: Tensor  # (B, S + A), for the critics
    rewards: Tensor  # (B,)
    masks: Tensor  # (B,): 1 - terminated
    next_observations: Tensor  # (B, S)
    mc_returns: Tensor | None = None  # (B,): discounted sums of the (standardised) rewards from here on


class TransitionTable:
    """N transitions in rows of next observation, observation, action, reward, mask and perhaps return."""

    def __init__(self, transitions: Transitions, discount: float | None = None):
        """With a discount, batches hold `Transitions.mc_returns` of the rewards as they are here."""
        t = transitions
        columns = [t.next_observations, t.observations, t.actions, t.rewards[:, None], t.masks[:, None]]
        if discount is not None:
            columns.append(t.mc_returns(discount)[:, None])
        self._has_returns = discount is not None
        self._rows = torch.from_numpy(np.concatenate(columns, 1).astype(np.float32))
        self._state, self._action = t.observations.shape[1], t.actions.shape[1]

    def to(self, device: torch.device | str) -> TransitionTable:
        """Move the table to a device; `rows` then takes indices from there."""
        self._rows = self._rows.to(device)
        return self

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
            rows[:, rewards + 2] if self._has_returns else None,
        )


def symmetric(offline: Batch, online: Batch) -> Batch:
    """Interleave two batches of B transitions to one of 2B, so that any even slice holds half of each.

    RLPD's symmetric sampling (arXiv:2302.02948, section 4.1). Returns are kept where both have them; raises
    BadInput where the sizes differ.
    """
    if len(offline.rewards) != len(online.rewards):
        sizes = f"{len(offline.rewards)} and {len(online.rewards)}"
        raise BadInput(f"symmetric batches must have the same size, not {sizes}; sample both alike")
    pairs = zip(offline, online, strict=True)
    return Batch(
        *(None if a is None or b is None else torch.stack((a, b), 1).flatten(0, 1) for a, b in pairs)
    )
