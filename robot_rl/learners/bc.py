"""Behaviour cloning: the actor of IQL, taught to repeat every action of the data alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from robot_rl.learners.adam import FlatAdam, flatten, load_tensors
from robot_rl.learners.batch import Batch
from robot_rl.learners.prepare import ACTION_BOUND
from robot_rl.policies.networks import LOG_STD_RANGE, GaussianActor

if TYPE_CHECKING:
    from robot_rl.learners.iql import IQLConfig

Schedule = Literal["cosine", "constant", "rising"]
RISE = 2000  # updates after the `steps` of the cosine, in which the rate rises again


@dataclass(frozen=True)
class BCConfig:
    """Settings of behaviour cloning; `steps` is the length of the cosine schedule of the learning rate."""

    steps: int
    schedule: Schedule = "cosine"
    hidden: tuple[int, ...] = (128, 128)
    learning_rate: float = 3e-4


def actor_loss(log_prob: Tensor) -> Tensor:
    """Mean of - log pi(a|s); (B,)."""
    return -log_prob.mean()


def scheduled(config: BCConfig | IQLConfig, step: int) -> float:
    """The actor's learning rate at an update: constant, falling to 0 along a cosine, or rising from there."""
    share = 1.0
    if config.schedule == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    elif config.schedule == "rising":
        share = min(max(step - config.steps, 0) / RISE, 1.0)
    return config.learning_rate * share


@torch.no_grad()
def sample_actions(actor: GaussianActor, observations: Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions (B, A) from the Gaussian at standardised states (B, S), clipped into (-1, 1)."""
    mean, std = actor.mean(observations), actor.log_std.clamp(*LOG_STD_RANGE).exp()
    noise = torch.randn(mean.shape, generator=generator)
    return (mean + std * noise).clamp(-ACTION_BOUND, ACTION_BOUND)


class BC:
    """The actor alone, on the likelihood of the data's actions."""

    def __init__(
        self,
        state_size: int,
        action_size: int,
        config: BCConfig,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
    ):
        """The weights are drawn on the processor, so that they are the same on every `device`."""
        self.config, self.step = config, 0
        self.actor = GaussianActor(state_size, config.hidden, action_size, generator).to(device)
        self._adam = FlatAdam({"actor": flatten(self.actor)}, config.learning_rate)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step; returns the loss."""
        self.schedule()
        info = self.compute(batch)
        self.step += 1
        return info

    def schedule(self) -> None:
        """Set the learning rate of the next update."""
        self._adam.set_learning_rate("actor", scheduled(self.config, self.step))

    def compute(self, batch: Batch) -> dict[str, Tensor]:
        """All of an update that a GPU does without the host, so that it can be captured; returns the loss."""
        loss = actor_loss(self.actor.log_prob(batch.observations, batch.actions))
        self._adam.minimise(loss)
        return {"actor_loss": loss}

    def act(self, observations: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (B, A) in (-1, 1) for standardised states (B, S)."""
        return sample_actions(self.actor, observations, generator)

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The actor's tensors, as a checkpoint holds them."""
        return self.actor.policy_weights()

    def state_dict(self) -> dict[str, Tensor]:
        """All that continuing needs, as flat tensors (not copied)."""
        return {**self._adam.tensors(), "step": torch.tensor(self.step)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` gave."""
        load_tensors(self.state_dict(), state)
        self.step = int(state["step"])
