"""IQL that learns to see: a small convolutional network trained by the critic, on shifted pictures.

DrQ's recipe (Yarats et al., 2021, arXiv:2004.13649) on implicit Q-learning: only the critics' loss reaches
the encoder; the value function and the actor take its features as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robot_rl.learners.adam import FlatAdam, flatten
from robot_rl.learners.batch import Batch
from robot_rl.learners.iql import IQL, IQLConfig
from robot_rl.learners.pictures import PixelBatch
from robot_rl.policies.convolutions import FEATURES, SmallConvNet, random_shift


class PixelIQL(IQL):
    """IQL on the state's seen parts and on 50 features of one camera's pictures."""

    def __init__(
        self, state_size: int, action_size: int, size: int, config: IQLConfig, generator: torch.Generator
    ):
        """`size` is the pictures' side in pixels; `generator` draws all shifts too."""
        super().__init__(state_size + FEATURES, action_size, config, generator)
        self.encoder, self._generator = SmallConvNet(size, generator), generator
        flats = {**self._adam.flats, "encoder": flatten(self.encoder)}
        self._adam = FlatAdam(flats, config.learning_rate)

    def seen(self, batch: PixelBatch, pictures: Tensor, next_pictures: Tensor) -> Batch:
        """The batch as IQL takes it; gradients reach the encoder through the critics' inputs alone."""
        observations = torch.cat([batch.observations, self.encoder(pictures)], 1)
        with torch.no_grad():
            following = torch.cat([batch.next_observations, self.encoder(next_pictures)], 1)
        return Batch(
            observations.detach(),
            batch.actions,
            torch.cat([observations, batch.actions], 1),
            batch.rewards,
            batch.masks,
            following,
        )

    def update(self, batch: PixelBatch) -> dict[str, Tensor]:
        """Shift the pictures, then take one gradient step for all networks at once; returns `losses`."""
        pictures, next_pictures = (
            random_shift(some, self._generator) for some in (batch.pictures, batch.next_pictures)
        )
        return super().update(self.seen(batch, pictures, next_pictures))

    def act(self, observations: Any, generator: torch.Generator) -> Tensor:
        """Not for pictures: policies that see do not go on online."""
        raise NotImplementedError("policies that see pictures do not go on online")
