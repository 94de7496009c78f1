"""What Cal-QL and RLPD share: the losses of Soft Actor-Critic (Haarnoja et al., 2018, arXiv:1812.05905).

`ActorCritic` holds the networks of both and what a learner does besides updating.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from robot_rl.learners.adam import FlatAdam, flatten, load_tensors
from robot_rl.learners.prepare import ACTION_BOUND
from robot_rl.policies.networks import EnsembleMLP, SquashedGaussianActor, squash


def td_target(rewards: Tensor, masks: Tensor, next_value: Tensor, discount: float) -> Tensor:
    """r + discount mask V(s') (eq. 2), without gradient; all (B,)."""
    return (rewards + discount * masks * next_value).detach()


def soft_value(q: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """V(s) = Q(s, a) - temperature log pi(a|s) of a sampled action (eq. 3); (..., B)."""
    return q - temperature * log_prob


def actor_loss(q: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """J_pi (eq. 7): mean of temperature log pi(a|s) - Q(s, a) of sampled actions; both (B,)."""
    return (temperature * log_prob - q).mean()


def temperature_loss(temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """J(temperature) (eq. 18): mean of - temperature (log pi(a|s) + target entropy); log_prob (B,)."""
    return -(temperature * (log_prob.detach() + target_entropy)).mean()


class Temperature(nn.Module):
    """The weight of the entropy, kept positive by its logarithm."""

    def __init__(self, initial: float):
        super().__init__()
        self.log = nn.Parameter(torch.full((1,), math.log(initial)))

    def forward(self) -> Tensor:
        """(1,)."""
        return self.log.exp()


class ActorCritic:
    """A squashed Gaussian actor, critics with targets, and the temperature; subclasses add the update."""

    _adams: tuple[FlatAdam, ...]  # that subclasses make, over the tensors of `_flats`

    def __init__(
        self, actor: SquashedGaussianActor, q: EnsembleMLP, temperature: float, generator: torch.Generator
    ):
        """`generator` draws the noise of all updates; the caller keeps its state for resuming."""
        self.step = 0
        self.actor, self.q, self.target_q = actor, q, copy.deepcopy(q)
        self.temperature = Temperature(temperature)
        self._generator = generator
        self._flats = {
            "actor": flatten(self.actor),
            "q": flatten(self.q),
            "temperature": flatten(self.temperature),
        }
        self._flat_target = flatten(self.target_q)

    def act(self, observations: Tensor, generator: torch.Generator) -> Tensor:
        """Sample actions (B, A) in (-1, 1) for normalised states (B, S), to explore with."""
        with torch.no_grad():
            mean, log_std = self.actor(observations)
            actions, _ = squash(mean, log_std, torch.randn(mean.shape, generator=generator))
        return actions.clamp(-ACTION_BOUND, ACTION_BOUND)  # in float32, tanh reaches 1

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The actor's tensors, as a checkpoint holds them."""
        return self.actor.policy_weights()

    def state_dict(self) -> dict[str, Tensor]:
        """All that continuing needs but the generator's state, as flat tensors (not copied)."""
        state = {"target_q": self._flat_target, "step": torch.tensor(self.step)}
        for adam in self._adams:
            state |= adam.tensors()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` gave."""
        load_tensors(self.state_dict(), state)
        self.step = int(state["step"])
