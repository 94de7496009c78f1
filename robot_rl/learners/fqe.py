"""Fitted Q evaluation: what a policy would get, estimated from recorded episodes of another, without a robot.

The fit is d3rlpy's, through `d3rlpy_adapter`; rewards are standardised as in training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput, RobotRLError
from robot_rl.learners.d3rlpy_adapter import import_d3rlpy, policy_layers, to_replay_buffer
from robot_rl.learners.prepare import prepare
from robot_rl.policies.checkpoint import PolicySpec

BATCH, REPORT_EVERY = 128, 100
# Renewed every 20 or 50 updates, the value of a bad policy on a line grew without bounds: each fit has to be
# good before the next builds on it.
RENEW_EVERY, LEARNING_RATE = 100, 1e-3
Progress = Callable[[int, str], object]


@dataclass(frozen=True)
class PolicyValue:
    """What fitted Q evaluation says of a policy, in standardised rewards, and what the data got."""

    values: tuple[float, ...]  # one a seed: mean value of the policy in the episodes' first states
    data_return: float  # mean discounted return of the same episodes, as far as they were recorded
    tail: float  # mean discount^T: weight of what lies beyond the recorded T steps, 0 after a termination
    reached: float  # 1 - discount^renewals: how much of a value so many updates can have built up
    allowed: tuple[float, float]  # the data's smallest and largest reward for ever, or nothing
    reward_mean: float  # rewards were (r - mean) / std
    reward_std: float
    episodes: int

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def plausible(self) -> bool:
        """Whether every value is one that the data's rewards could add up to; if not, the fit diverged."""
        return all(self.allowed[0] <= value <= self.allowed[1] for value in self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds, 0 for one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0


def fitted_q_evaluation(
    weights: Mapping[str, np.ndarray],
    spec: PolicySpec,
    transitions: Transitions,
    *,
    discount: float,
    steps: int,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Progress | None = None,
) -> PolicyValue:
    """Value of a checkpoint's policy from data of another (Le et al., 2019, arXiv:1903.08738).

    Q(s, a) is fitted to r + discount mask Q'(s', policy(s')) by `steps` updates of 128 transitions, two
    layers of 256, once for each seed; Q' is renewed every 100 updates. `progress` is told how many more
    updates are done. Raises BadInput for transitions that do not fit the policy and for a discount of 1.
    """
    if steps < 1 or not seeds:
        raise BadInput(f"off-policy evaluation needs at least 1 update and 1 seed, not {steps}, {len(seeds)}")
    if not 0 <= discount < 1:
        raise BadInput(f"discount must be at least 0 and below 1 for a value to exist, not {discount}")
    prepared = prepare(transitions, spec)
    mean, std = np.float32(spec.state_mean), np.float32(spec.state_std)
    scaled = dataclasses.replace(
        prepared.transitions,
        observations=(transitions.observations - mean) / std,
        next_observations=(transitions.next_observations - mean) / std,
    )
    starts, lengths = _starts(scaled)
    fit = _Fit(as_d3rlpy(weights, spec), to_replay_buffer(scaled), discount, steps)
    first, report = scaled.observations[starts], progress or (lambda *_: None)
    goes_on, rewards = scaled.masks[starts + lengths - 1], scaled.rewards
    return PolicyValue(
        values=tuple(fit.value(first, seed, report) for seed in seeds),
        data_return=float(scaled.mc_returns(discount, endless=False)[starts].mean()),
        tail=float((goes_on * discount**lengths).mean()),
        reached=1 - discount ** (steps // RENEW_EVERY),
        allowed=tuple(
            float(bound) / (1 - discount) for bound in (rewards.min(initial=0), rewards.max(initial=0))
        ),
        reward_mean=prepared.reward_mean,
        reward_std=prepared.reward_std,
        episodes=len(starts),
    )


def as_d3rlpy(weights: Mapping[str, np.ndarray], spec: PolicySpec) -> Any:
    """A d3rlpy algorithm that acts as the checkpoint does: standardised states in, actions in [-1, 1] out."""
    d3rlpy = import_d3rlpy()
    encoder = d3rlpy.models.VectorEncoderFactory(list(spec.hidden))
    algorithm = d3rlpy.algos.BCConfig(encoder_factory=encoder).create(device=False)
    algorithm.create_impl((len(spec.state_names),), len(spec.action_names))
    with torch.no_grad():
        for k, layer in enumerate(policy_layers(algorithm) or ()):
            layer.weight.copy_(torch.tensor(weights[f"layer{k}.weight"].T))
            layer.bias.copy_(torch.tensor(weights[f"layer{k}.bias"]))
    return algorithm


@dataclass(frozen=True)
class _Fit:
    policy: Any  # d3rlpy's
    buffer: Any
    discount: float
    steps: int

    def value(self, first: np.ndarray, seed: int, progress: Progress) -> float:
        """The policy's mean value in the states `first` (E, S)."""
        d3rlpy = import_d3rlpy()
        d3rlpy.seed(seed)
        config = d3rlpy.ope.FQEConfig(
            gamma=self.discount,
            batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            target_update_interval=RENEW_EVERY,
        )
        fqe = d3rlpy.ope.FQE(algo=self.policy, config=config)
        fqe.create_impl(first.shape[1:], self.policy.action_size)
        reported = 0
        for step in range(1, self.steps + 1):
            loss = fqe.update(self.buffer.sample_transition_batch(BATCH))["loss"]
            if step % REPORT_EVERY == 0 or step == self.steps:
                if not np.isfinite(loss):
                    raise RobotRLError(f"off-policy evaluation diverged by step {step}; use fewer steps")
                progress(step - reported, f"seed {seed}, loss {loss:.3g}")
                reported = step
        return float(fqe.predict_value(first, self.policy.predict(first)).mean())


def _starts(t: Transitions) -> tuple[np.ndarray, np.ndarray]:
    """Where each episode starts, and how many transitions it has."""
    stops = np.flatnonzero(t.episode_ends) + 1
    stops = np.unique(np.append(stops, len(t)))
    starts = np.concatenate([[0], stops[:-1]])
    return starts, stops - starts
