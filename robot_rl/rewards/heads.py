"""The ensemble's networks and their training: all members as one batched model over (K, B, F) tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

from robot_rl.rewards.config import RewardConfig

SCALE_PENALTY = 1e-4  # on squared reward differences: pairs that are never contradicted stay finite
MIN_UPDATES = 300  # a few hundred pairs need more passes than a few thousand
NOISE_RATE = 0.05  # where the learned noise rate starts
NOISE_SPEED = 30.0  # times the learning rate: noise and scale are single numbers with a long way to go
_ALMOST_ONE = 1 - 1e-6  # keeps the logarithms finite


def label_loss(difference: Tensor, p: Tensor, noise_rate: Tensor) -> Tensor:
    """Cross-entropy of soft labels under Bradley-Terry (1952) with flipped labels, elementwise.

    q = (1 - 2 eps) sigmoid(difference) + eps, difference = r_second - r_first in logits, and the loss is
    -(p log q + (1 - p) log(1 - q)); shapes broadcast. Computed by q = (1 + s) / 2, where
    s = (1 - 2 eps) tanh(difference / 2), so that a tie (p = 0.5) at a difference of 0 has a gradient of
    exactly 0 and ties alone leave a reward flat.
    """
    s = ((1 - 2 * noise_rate) * torch.tanh(difference / 2)).clamp(-_ALMOST_ONE, _ALMOST_ONE)
    return math.log(2) - p * torch.log1p(s) - (1 - p) * torch.log1p(-s)


def noise_of(theta: Tensor) -> Tensor:
    """The noise rate eps, in (0, 0.5), of its free parameter."""
    return 0.5 * torch.sigmoid(theta)


def scale_of(log_scale: Tensor) -> Tensor:
    """The scale of a member's rewards, within e**-3 to e**3: labels without sense must not make it vanish."""
    return log_scale.clamp(-3, 3).exp()


def init_heads(members: int, sizes: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
    """Weights of `members` MLPs with layer `sizes`; the last layer starts at 0, where all rewards are equal.

    It has no bias, as only differences of rewards are ever compared.
    """
    weights = {}
    for layer, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        is_last = layer == len(sizes) - 2
        scale = 0.0 if is_last else math.sqrt(2 / inputs)  # He et al. 2015, for ReLU
        weights[f"weight_{layer}"] = scale * torch.randn(members, inputs, outputs, generator=generator)
        if not is_last:
            weights[f"bias_{layer}"] = torch.zeros(members, 1, outputs)
    return weights


def rewards_of(weights: dict[str, Tensor], features: Tensor) -> Tensor:
    """Raw rewards (K, B), in logits, of standardised `features` (K, B, F)."""
    last = sum(name.startswith("weight_") for name in weights) - 1
    hidden = features
    for layer in range(last):
        hidden = relu(torch.baddbmm(weights[f"bias_{layer}"], hidden, weights[f"weight_{layer}"]))
    return torch.bmm(hidden, weights[f"weight_{last}"]).squeeze(-1)


def fit_heads(
    features: np.ndarray,  # (n, F) float32, standardised
    pairs: np.ndarray,  # (M, 2, S) int64, rows of `features`; S frames make a strip, 1 is a frame alone
    p: np.ndarray,  # (M,)
    importance: np.ndarray,  # (M,), mean 1
    config: RewardConfig,
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Train an ensemble; return its weights and the members' noise rates (K,) float32.

    AdamW, its rate falling to 0 by a cosine; each member draws its own resample and order of the pairs.
    The noise, and with it the scale of a member's rewards, follows the pairs that its resample left out:
    a network learns flipped labels by heart, and on those that it knows they would not show.
    """
    generator = torch.Generator().manual_seed(config.seed)
    weights = init_heads(config.members, (features.shape[1], *config.hidden, 1), generator)
    theta = torch.full((config.members, 1), math.log(2 * NOISE_RATE / (1 - 2 * NOISE_RATE)))
    log_scale = torch.zeros(config.members, 1)
    optimizer = _optimizer(weights, [theta, log_scale], config)
    updates = max(config.epochs * math.ceil(len(pairs) / config.batch_size), MIN_UPDATES)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    labels = _Labels(*(torch.from_numpy(a) for a in (features, pairs, np.float32(p), np.float32(importance))))
    unseen, batches = _batches(len(pairs), config, generator)
    for _ in range(updates):
        rows = next(batches)
        noise = noise_of(theta) if config.learn_noise else torch.zeros_like(theta)
        loss = labels.loss(labels.differences(weights, rows), rows, noise.detach())
        if config.learn_noise:
            rows = torch.multinomial(unseen, rows.shape[1], replacement=True, generator=generator)
            unseen_difference = labels.differences(weights, rows).detach()
            loss = loss + labels.loss(scale_of(log_scale) * unseen_difference, rows, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return _finished(weights, log_scale), noise.detach().flatten().numpy()


@dataclass(frozen=True)
class _Labels:
    """What the ensemble learns from, as tensors."""

    features: Tensor  # (n, F)
    pairs: Tensor  # (M, 2, S)
    p: Tensor  # (M,)
    importance: Tensor  # (M,)

    def differences(self, weights: dict[str, Tensor], rows: Tensor) -> Tensor:
        """r_second - r_first (K, B) of each member's own `rows` (K, B); a strip's reward is its mean."""
        frames = self.pairs[rows].movedim(2, 1)  # (K, 2, B, S): all first ones, then all second ones
        rewards = rewards_of(weights, self.features[frames.flatten(1)]).view(frames.shape)
        first, second = rewards.mean(-1).unbind(1)
        return second - first

    def loss(self, difference: Tensor, rows: Tensor, noise_rate: Tensor) -> Tensor:
        """Mean loss of `difference` (K, B), summed over members, so that none feels the others."""
        loss = self.importance[rows] * label_loss(difference, self.p[rows], noise_rate)
        return (loss + SCALE_PENALTY * difference.square()).mean(1).sum()


def _optimizer(
    weights: dict[str, Tensor], noise: list[Tensor], config: RewardConfig
) -> torch.optim.Optimizer:
    """AdamW over the weights and, where it is learned, the noise with its scale."""
    rate = config.learning_rate
    groups = [{"params": list(weights.values()), "lr": rate, "weight_decay": config.weight_decay}]
    if config.learn_noise:
        groups.append({"params": noise, "lr": NOISE_SPEED * rate, "weight_decay": 0.0})
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return torch.optim.AdamW(groups)


def _finished(weights: dict[str, Tensor], log_scale: Tensor) -> dict[str, Tensor]:
    """The trained weights with the scale inside: rewards become the logits that unseen pairs bear out."""
    weights = {name: weight.detach() for name, weight in weights.items()}
    last = [name for name in weights if name.startswith("weight_")][-1]
    return {**weights, last: weights[last] * scale_of(log_scale).detach()[:, :, None]}


def _batches(count: int, config: RewardConfig, generator: torch.Generator) -> tuple[Tensor, Iterator[Tensor]]:
    """Mask (K, M) of the pairs that a member is not trained on, and its batches (K, B) of row numbers.

    Each member has its own resample and order. Where it sees every pair the mask is 1 throughout.
    """
    if config.bootstrap:
        drawn = torch.randint(count, (config.members, count), generator=generator)
    else:
        drawn = torch.arange(count).repeat(config.members, 1)
    unseen = torch.ones(drawn.shape).scatter_(1, drawn, 0.0)
    unseen[~unseen.any(1)] = 1.0
    return unseen, _epochs(drawn, config.batch_size, generator)


def _epochs(drawn: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the `drawn` (K, M) rows in batches (K, B), shuffled anew each time, without end."""
    while True:
        shuffle = torch.rand(drawn.shape, generator=generator).argsort(1)
        yield from drawn.gather(1, shuffle).split(batch_size, dim=1)
