"""Batches of transitions that stay on disk: one gather from the map, brought to the learner's scale."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from robot_rl.data.replay_file import ReplayFile
from robot_rl.learners.batch import Batch
from robot_rl.learners.prepare import ACTION_BOUND, Scaler


class FileTable:
    """The transitions of a `ReplayFile`, scaled as they are drawn; memory holds one batch."""

    def __init__(self, file: ReplayFile, scaler: Scaler):
        with warnings.catch_warnings():
            # torch warns that it could not write to the map; nothing here does.
            warnings.simplefilter("ignore", UserWarning)
            self._rows = torch.from_numpy(file.rows)
        self._state, self._action = file.state_size, file.action_size
        low, high = scaler.action_low, scaler.action_high
        middle, half = (high + low) / 2, (high - low) / 2
        means = [scaler.state_mean, scaler.state_mean, middle, [scaler.reward_mean, 0]]
        stds = [scaler.state_std, scaler.state_std, half, [scaler.reward_std, 1]]
        self._mean = torch.from_numpy(np.concatenate(means).astype(np.float32))
        self._std = torch.from_numpy(np.concatenate(stds).astype(np.float32))

    def __len__(self) -> int:
        return len(self._rows)

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw a batch uniformly, with replacement."""
        return self.rows(torch.randint(len(self._rows), (batch_size,), generator=generator))

    def rows(self, indices: Tensor) -> Batch:
        """The batch of the given rows (B,) int64."""
        rows, state = self._rows.index_select(0, indices).sub_(self._mean).div_(self._std), self._state
        rewards = 2 * state + self._action
        rows[:, 2 * state : rewards].clamp_(-ACTION_BOUND, ACTION_BOUND)
        return Batch(
            observations=rows[:, state : 2 * state],
            actions=rows[:, 2 * state : rewards],
            observations_actions=rows[:, state:rewards],
            rewards=rows[:, rewards],
            masks=rows[:, rewards + 1],
            next_observations=rows[:, :state],
        )
