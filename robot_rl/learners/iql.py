"""Implicit Q-Learning (Kostrikov et al., 2021, arXiv:2110.06169).

It learns from logged transitions and never asks what an action that is not among them would be worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_rl.learners.adam import FlatAdam, flatten, load_tensors
from robot_rl.learners.batch import Batch
from robot_rl.learners.bc import Schedule, sample_actions, scheduled
from robot_rl.policies.networks import EnsembleMLP, GaussianActor

MAX_WEIGHT = 100.0  # of one action in the actor's loss


@dataclass(frozen=True)
class IQLConfig:
    """Settings of IQL; `steps` is the length of the cosine schedule of the actor's learning rate."""

    steps: int
    schedule: Schedule = "cosine"  # online it rises again from the 0 to which it fell: "rising"
    hidden: tuple[int, ...] = (128, 128)
    discount: float = 0.99
    expectile: float = 0.9
    temperature: float = 3.0  # multiplies advantages: 0 is behaviour cloning
    target_rate: float = 0.005  # of the target critics' moving average
    learning_rate: float = 3e-4


def value_loss(target_q: Tensor, value: Tensor, expectile: float) -> Tensor:
    """L_V (eq. 5): mean |expectile - 1(u < 0)| u², u = Q_target(s, a) - V(s); both (B,)."""
    u = target_q - value
    return (torch.where(u < 0, 1 - expectile, expectile) * u.square()).mean()


def q_loss(q: Tensor, rewards: Tensor, masks: Tensor, next_value: Tensor, discount: float) -> Tensor:
    """L_Q (eq. 6): mean over B of (r + discount mask V(s') - Q(s, a))², summed over the critics q (2, B)."""
    target = (rewards + discount * masks * next_value).detach()
    return (target - q).square().sum() / q.shape[1]


def actor_weights(advantage: Tensor, temperature: float) -> Tensor:
    """min(exp(temperature u), 100) (eq. 7 and the authors' code), without gradient; (B,)."""
    return torch.exp(temperature * advantage.detach()).clamp(max=MAX_WEIGHT)


def actor_loss(log_prob: Tensor, weights: Tensor) -> Tensor:
    """L_pi (eq. 7): mean of - weight log pi(a|s); both (B,)."""
    return -(weights * log_prob).mean()


class IQL:
    """Two critics with targets, a value function and the actor, learned in one step each batch."""

    def __init__(
        self,
        state_size: int,
        action_size: int,
        config: IQLConfig,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
    ):
        """The weights are drawn on the processor, so that they are the same on every `device`."""
        self.config, self.step = config, 0
        self.actor = GaussianActor(state_size, config.hidden, action_size, generator)
        critic_sizes = [state_size + action_size, *config.hidden, 1]
        self.q = EnsembleMLP(2, critic_sizes, generator)
        self.target_q = EnsembleMLP(2, critic_sizes, generator)
        self.target_q.load_state_dict(self.q.state_dict())
        self.v = EnsembleMLP(1, [state_size, *config.hidden, 1], generator)
        for network in (self.actor, self.q, self.target_q, self.v):
            network.to(device)
        self._target, critics = flatten(self.target_q), flatten(self.q, self.v)
        self._q = critics[: len(self._target)]
        self._adam = FlatAdam({"actor": flatten(self.actor), "critics": critics}, config.learning_rate)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The three losses, the advantages and the weights; no loss has gradients in another's network."""
        with torch.no_grad():
            target_q = self.target_q(batch.observations_actions)[..., 0].amin(0)
            next_value = self.v(batch.next_observations)[0, :, 0]
        value = self.v(batch.observations)[0, :, 0]
        q = self.q(batch.observations_actions)[..., 0]
        advantage = (target_q - value).detach()
        weights = actor_weights(advantage, self.config.temperature)
        log_prob = self.actor.log_prob(batch.observations, batch.actions)
        return {
            "value_loss": value_loss(target_q, value, self.config.expectile),
            "q_loss": q_loss(q, batch.rewards, batch.masks, next_value, self.config.discount),
            "actor_loss": actor_loss(log_prob, weights),
            "advantage": advantage,
            "weight": weights,
        }

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step for all networks at once, then move the target critics; returns `losses`."""
        self.schedule()
        info = self.compute(batch)
        self.step += 1
        return info

    def schedule(self) -> None:
        """Set the learning rate of the next update."""
        self._adam.set_learning_rate("actor", scheduled(self.config, self.step))

    def compute(self, batch: Batch) -> dict[str, Tensor]:
        """All of an update that a GPU does without the host, so that it can be captured; returns `losses`."""
        info = self.losses(batch)
        self._adam.minimise(info["value_loss"] + info["q_loss"] + info["actor_loss"])
        self._target.lerp_(self._q, self.config.target_rate)
        return info

    def act(self, observations: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (B, A) in (-1, 1) for standardised states (B, S)."""
        return sample_actions(self.actor, observations, generator)

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The actor's tensors, as a checkpoint holds them."""
        return self.actor.policy_weights()

    def state_dict(self) -> dict[str, Tensor]:
        """All that continuing needs, as flat tensors (not copied)."""
        return {**self._adam.tensors(), "target_q": self._target, "step": torch.tensor(self.step)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` gave."""
        load_tensors(self.state_dict(), state)
        self.step = int(state["step"])
