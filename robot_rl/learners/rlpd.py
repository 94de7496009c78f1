"""RLPD (Ball et al., 2023, arXiv:2302.02948): Soft Actor-Critic learning online from old and new data alike.

Half of every batch is prior data, the other half is new (`batch.symmetric`); many critics with LayerNorm keep
many updates a step from running away. `droq` gives DroQ (Hiraoka et al., 2022, arXiv:2110.02034) instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robot_rl.errors import BadInput
from robot_rl.learners import sac
from robot_rl.learners.adam import FlatAdam
from robot_rl.learners.batch import Batch
from robot_rl.policies.networks import EnsembleMLP, SquashedGaussianActor, squash


@dataclass(frozen=True)
class RLPDConfig:
    """Settings of RLPD; the defaults are those of the paper for tasks with a dense reward."""

    hidden: tuple[int, ...] = (256, 256)
    discount: float = 0.99
    critics: int = 10
    subset: int = 2  # critics, drawn anew each update, whose least value is the target; 1 for sparse rewards
    utd: int = 20  # critic updates an update
    layer_norm: bool = True
    dropout: float = 0.0  # share of the critics' units
    entropy_backup: bool = True  # the target subtracts temperature log pi(a'|s'); False for sparse rewards
    target_entropy: float | None = None  # None is - action_size / 2, as in the authors' code
    temperature: float = 1.0  # at the start
    target_rate: float = 0.005  # of the target critics' moving average
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        if not 1 <= self.subset <= self.critics:
            raise BadInput(f"subset must be 1 to the number of critics ({self.critics}), not {self.subset}")
        if self.utd < 1:
            raise BadInput(f"utd must be at least 1 critic update an update, not {self.utd}")
        if not 0 <= self.dropout < 1:
            raise BadInput(f"dropout must be a share from 0 to below 1, not {self.dropout}")
        if self.temperature <= 0:
            raise BadInput(f"temperature must be above 0, not {self.temperature}")


def droq(**changes: object) -> RLPDConfig:
    """DroQ: two critics with dropout in place of many; `changes` are other fields of `RLPDConfig`."""
    return RLPDConfig(**{"critics": 2, "subset": 2, "dropout": 0.01, **changes})


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Mean over critics and B of (Q(s, a) - target)² (Algorithm 1); q (C, B), target (B,)."""
    return (q - target).square().mean()


class RLPD(sac.ActorCritic):
    """Many critics with targets, a squashed Gaussian actor and its temperature."""

    def __init__(self, state_size: int, action_size: int, config: RLPDConfig, generator: torch.Generator):
        self.config = config
        entropy = config.target_entropy
        self.target_entropy = -action_size / 2 if entropy is None else entropy
        sizes = [state_size + action_size, *config.hidden, 1]
        q = EnsembleMLP(config.critics, sizes, generator, config.layer_norm, config.dropout)
        actor = SquashedGaussianActor(state_size, config.hidden, action_size, generator)
        super().__init__(actor, q, config.temperature, generator)
        self._critic_adam = FlatAdam({"q": self._flats["q"]}, config.learning_rate)
        rest = {name: self._flats[name] for name in ("actor", "temperature")}
        self._actor_adam = FlatAdam(rest, config.learning_rate)
        self._adams = self._critic_adam, self._actor_adam

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take `utd` critic steps on consecutive slices of the batch, then one actor and temperature step.

        The actor learns on the last slice. Raises BadInput where `utd` does not divide the batch.
        """
        c, rows = self.config, len(batch.rewards)
        if rows % c.utd:
            raise BadInput(f"a batch of {rows} transitions cannot be cut in utd={c.utd}; sample a multiple")
        # The actor does not change between the critic steps: all next actions come from one forward pass.
        with torch.no_grad():
            actions, log_prob = self._sample(batch.next_observations)
            next_pairs = torch.cat([batch.next_observations, actions], 1)
            bonus = -self.temperature() * log_prob if c.entropy_backup else torch.zeros_like(log_prob)
        size = rows // c.utd
        for start in range(0, rows, size):
            part = slice_batch(batch, start, start + size)
            info = self._update_critics(part, *(x[start : start + size] for x in (next_pairs, bonus)))
        self.step += 1
        return info | self._update_actor(part)

    def critic_losses(
        self, batch: Batch, next_pairs: Tensor, bonus: Tensor, members: Tensor
    ) -> dict[str, Tensor]:
        """The critics' loss; next_pairs (B, S + A), entropy bonus (B,), members (subset,) of the targets."""
        with torch.no_grad():
            next_q = self.target_q(next_pairs, members=members, generator=self._generator)[..., 0].amin(0)
            target = sac.td_target(batch.rewards, batch.masks, next_q + bonus, self.config.discount)
        q = self.q(batch.observations_actions, generator=self._generator)[..., 0]
        return {"critic_loss": critic_loss(q, target), "q": q.detach()}

    def _update_critics(self, batch: Batch, next_pairs: Tensor, bonus: Tensor) -> dict[str, Tensor]:
        members = torch.randperm(self.config.critics, generator=self._generator)[: self.config.subset]
        info = self.critic_losses(batch, next_pairs, bonus, members)
        self._critic_adam.minimise(info["critic_loss"])
        self._flat_target.lerp_(self._flats["q"], self.config.target_rate)
        return {name: value.detach() for name, value in info.items()}

    def actor_losses(self, observations: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Actor and temperature loss on one sampled action a state; noise (B, A) is standard normal.

        The actor climbs the mean over all critics.
        """
        actions, log_prob = squash(*self.actor(observations), noise)
        pairs = torch.cat([observations, actions], 1)
        q = self.q(pairs, frozen=True, generator=self._generator)[..., 0].mean(0)
        temperature = self.temperature()
        return {
            "actor_loss": sac.actor_loss(q, log_prob, temperature.detach()),
            "temperature_loss": sac.temperature_loss(temperature, log_prob, self.target_entropy),
            "entropy": -log_prob.detach(),
            "temperature": temperature.detach(),
        }

    def _update_actor(self, batch: Batch) -> dict[str, Tensor]:
        noise = torch.randn(batch.actions.shape, generator=self._generator)
        info = self.actor_losses(batch.observations, noise)
        self._actor_adam.minimise(info["actor_loss"] + info["temperature_loss"])
        return {name: value.detach() for name, value in info.items()}

    def _sample(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (B, A) of the actor at states (B, S), and their log densities (B,)."""
        mean, log_std = self.actor(observations)
        return squash(mean, log_std, torch.randn(mean.shape, generator=self._generator))


def slice_batch(batch: Batch, start: int, stop: int) -> Batch:
    """Rows start to stop of a batch, as views."""
    return Batch(*(None if x is None else x[start:stop] for x in batch))
