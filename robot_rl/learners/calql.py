"""Cal-QL, Calibrated Q-Learning (Nakamoto et al., 2023, arXiv:2303.05479), for data first and robots after.

It is conservative Q-learning (CQL, Kumar et al., 2020, arXiv:2006.04779) that never pushes the value of the
policy's actions below what the data's own policy earned, so that going online does not begin by unlearning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from robot_rl.errors import BadInput
from robot_rl.learners import sac
from robot_rl.learners.adam import FlatAdam
from robot_rl.learners.batch import Batch
from robot_rl.policies.networks import EnsembleMLP, SquashedGaussianActor, squash


@dataclass(frozen=True)
class CalQLConfig:
    """Settings of Cal-QL; the defaults are those of the authors' code."""

    hidden: tuple[int, ...] = (256, 256)
    discount: float = 0.99  # must be the one of the batch's mc_returns
    cql_alpha: float = 5.0  # weight of the conservative term; 0 is SAC
    n_actions: int = 10  # sampled for each of: uniform, pi(s), pi(s'), and the target's maximum
    calibrated: bool = True  # False is CQL
    max_backup: bool = True  # the target takes the best of n_actions next actions, not one
    entropy_backup: bool = False  # the target subtracts temperature log pi(a'|s')
    bc_weight: float = 0.0  # of - log pi(a|s) on the data's actions in the actor's loss, as in RoboFuME
    target_entropy: float | None = None  # None is - action_size
    temperature: float = 1.0  # at the start
    target_rate: float = 0.005  # of the target critics' moving average
    learning_rate: float = 3e-4  # of the critics
    actor_learning_rate: float = 1e-4  # of the actor and the temperature

    def __post_init__(self) -> None:
        if self.n_actions < 1:
            raise BadInput(f"n_actions must be at least 1 sampled action a state, not {self.n_actions}")
        for name in ("cql_alpha", "bc_weight"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} is a weight and must be at least 0, not {getattr(self, name)}")
        if self.temperature <= 0:
            raise BadInput(f"temperature must be above 0, not {self.temperature}")


class Noise(NamedTuple):
    """What one update draws: m is n_actions or 1, n is n_actions; standard normal unless said."""

    actor: Tensor  # (B, A)
    target: Tensor  # (m, B, A)
    current: Tensor  # (n, B, A), for pi(s)
    following: Tensor  # (n, B, A), for pi(s')
    uniform: Tensor  # (n, B, A) uniform in (-1, 1)


def td_loss(q: Tensor, target: Tensor) -> Tensor:
    """Mean over B of (Q(s, a) - target)², summed over the critics q (C, B); target (B,)."""
    return (q - target).square().mean(1).sum()


def calibrate(q: Tensor, mc_returns: Tensor) -> Tensor:
    """max(Q(s, a), V_mu(s)) (eq. 5.1), with the data's return as V_mu; q (C, n, B), returns (B,)."""
    return torch.maximum(q, mc_returns)


def conservative_loss(q_sampled: Tensor, log_density: Tensor, q_data: Tensor) -> Tensor:
    """CQL(H)'s regulariser (CQL, eq. 4 and app. F): mean of logsumexp_a(Q(s, a)) - Q(s, a_data).

    The sum over actions is a weighted one over n samples: q_sampled (C, n, B) less their log_density (n, B).
    The mean is over B; the critics q_data (C, B) are summed.
    """
    return (torch.logsumexp(q_sampled - log_density, 1) - q_data).mean(1).sum()


class CalQL(sac.ActorCritic):
    """Two critics with targets, a squashed Gaussian actor and its temperature, learned in one step a batch.

    `config` may be replaced between updates, for instance to weaken cql_alpha online.
    """

    def __init__(self, state_size: int, action_size: int, config: CalQLConfig, generator: torch.Generator):
        self.config = config
        self.target_entropy = -float(action_size) if config.target_entropy is None else config.target_entropy
        actor = SquashedGaussianActor(state_size, config.hidden, action_size, generator, initial_log_std=-1)
        q = EnsembleMLP(2, [state_size + action_size, *config.hidden, 1], generator)
        with torch.no_grad():
            q.weights[-1].mul_(0.01)  # begin at values near 0
        super().__init__(actor, q, config.temperature, generator)
        self._adam = FlatAdam(self._flats, config.learning_rate)
        self._adams = (self._adam,)
        for name in ("actor", "temperature"):
            self._adam.set_learning_rate(name, config.actor_learning_rate)

    def draw_noise(self, batch: Batch) -> Noise:
        """The noise of one update on `batch`."""
        n, m = self.config.n_actions, self.config.n_actions if self.config.max_backup else 1
        shape, g = batch.actions.shape, self._generator
        normal = torch.randn(1 + m + 2 * n, *shape, generator=g)
        actor, target, current, following = normal.split([1, m, n, n])
        return Noise(actor[0], target, current, following, torch.rand(n, *shape, generator=g) * 2 - 1)

    def losses(self, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The three losses and what to log; no loss has gradients in another's network."""
        policy = self.actor(batch.observations)
        with torch.no_grad():
            next_policy = self.actor(batch.next_observations)
            target = self._target(batch, *squash(*next_policy, noise.target))
            near = squash(*policy, noise.current), squash(*next_policy, noise.following)
        return {
            **self._critic_losses(batch, target, noise.uniform, near),
            **self._actor_losses(batch, *squash(*policy, noise.actor)),
        }

    def _target(self, batch: Batch, actions: Tensor, log_prob: Tensor) -> Tensor:
        """The TD target (B,) from next actions (m, B, A), of which the best counts, and log_prob (m, B)."""
        next_q = self.target_q(pairs(batch.next_observations, actions))[..., 0].amin(0)
        best, which = next_q.view(len(actions), -1).max(0)
        if self.config.entropy_backup:
            best = sac.soft_value(best, log_prob.gather(0, which[None])[0], self.temperature())
        return sac.td_target(batch.rewards, batch.masks, best, self.config.discount)

    def _critic_losses(
        self, batch: Batch, target: Tensor, uniform: Tensor, near: tuple[tuple[Tensor, Tensor], ...]
    ) -> dict[str, Tensor]:
        """TD and conservative loss; uniform actions (n, B, A), those near pi(s), pi(s') with densities."""
        c, n = self.config, len(uniform)
        actions = torch.cat([batch.actions[None], uniform, *(actions for actions, _ in near)])
        q = self.q(pairs(batch.observations, actions)).view(2, len(actions), -1)
        q_data, q_uniform, q_policy = q[:, 0], q[:, 1 : n + 1], q[:, n + 1 :]
        q_bounded = calibrate(q_policy, returns_of(batch)) if c.calibrated else q_policy
        uniform_density = target.new_full((n, len(target)), -math.log(2) * batch.actions.shape[1])
        log_density = torch.cat([uniform_density, *(density for _, density in near)])
        conservative = conservative_loss(torch.cat([q_uniform, q_bounded], 1), log_density, q_data)
        td = td_loss(q_data, target)
        return {
            "critic_loss": td + c.cql_alpha * conservative,
            "td_loss": td.detach(),
            "conservative_loss": conservative.detach(),
            "bounded": (q_bounded > q_policy).float().mean(),  # share that the returns hold up
            "q": q_data.detach(),
        }

    def _actor_losses(self, batch: Batch, actions: Tensor, log_prob: Tensor) -> dict[str, Tensor]:
        """Actor and temperature loss on one sampled action (B, A) a state."""
        q = self.q(torch.cat([batch.observations, actions], 1), frozen=True)[..., 0].amin(0)
        temperature = self.temperature()
        loss = sac.actor_loss(q, log_prob, temperature.detach())
        if self.config.bc_weight:
            log_likelihood = self.actor.log_prob(batch.observations, batch.actions)
            loss = loss - self.config.bc_weight * log_likelihood.mean()
        return {
            "actor_loss": loss,
            "temperature_loss": sac.temperature_loss(temperature, log_prob, self.target_entropy),
            "entropy": -log_prob.detach(),
            "temperature": temperature.detach(),
        }

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step for all networks at once, then move the target critics; returns `losses`.

        Raises BadInput where a calibrated learner gets a batch without returns.
        """
        info = self.losses(batch, self.draw_noise(batch))
        self._adam.minimise(info["critic_loss"] + info["actor_loss"] + info["temperature_loss"])
        self._flat_target.lerp_(self._flats["q"], self.config.target_rate)
        self.step += 1
        return {name: value.detach() for name, value in info.items()}


def pairs(observations: Tensor, actions: Tensor) -> Tensor:
    """Rows (k * B, S + A) of states (B, S) with k actions each, (k, B, A)."""
    return torch.cat([observations.expand(len(actions), -1, -1), actions], 2).flatten(0, 1)


def returns_of(batch: Batch) -> Tensor:
    """The batch's returns (B,); raises BadInput where it has none."""
    if batch.mc_returns is None:
        raise BadInput(
            "Cal-QL needs mc_returns in its batches, which TransitionTable(transitions, discount) adds; "
            "or set calibrated=False, which is CQL"
        )
    return batch.mc_returns
