"""Transitions with a picture each, in batches: numbers from a table, pictures from an array on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robot_rl.data.replay import Transitions
from robot_rl.learners.batch import TransitionTable


@dataclass(frozen=True)
class Pictures:
    """One camera's pictures for transitions; the array may be a memory map of any size."""

    array: np.ndarray  # (P, H, W, 3) uint8
    now: np.ndarray  # (N,) int64: the row of each transition's picture
    following: np.ndarray  # (N,) int64: the row of the picture after its action


class PixelBatch(NamedTuple):
    """B transitions, scaled as in `Batch`; the pictures are not yet shifted."""

    observations: Tensor  # (B, S) float32, the parts of the state that are seen
    actions: Tensor  # (B, A)
    rewards: Tensor  # (B,)
    masks: Tensor  # (B,)
    next_observations: Tensor  # (B, S)
    pictures: Tensor  # (B, H, W, 3) uint8
    next_pictures: Tensor  # (B, H, W, 3) uint8


class PictureTable:
    """Samples `PixelBatch`es uniformly, with replacement."""

    def __init__(self, transitions: Transitions, pictures: Pictures):
        self._numbers, self._pictures = TransitionTable(transitions), pictures

    def __len__(self) -> int:
        return len(self._numbers)

    def sample(self, batch_size: int, generator: torch.Generator) -> PixelBatch:
        """Draw a batch."""
        return self.rows(torch.randint(len(self), (batch_size,), generator=generator))

    def rows(self, indices: Tensor) -> PixelBatch:
        """The batch of the given rows (B,) int64."""
        source, which = self._pictures, indices.numpy()
        now, following = (
            torch.from_numpy(source.array[rows[which]]) for rows in (source.now, source.following)
        )
        b = self._numbers.rows(indices)
        return PixelBatch(b.observations, b.actions, b.rewards, b.masks, b.next_observations, now, following)
