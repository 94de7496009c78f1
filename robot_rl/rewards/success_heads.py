"""Trains the networks of a success classifier on few labeled frames: an ensemble, classes in balance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from robot_rl.rewards.heads import init_heads, rewards_of
from robot_rl.rewards.success_config import SuccessConfig


def balance(labels: np.ndarray) -> np.ndarray:
    """Chance (n,) of drawing each frame, so that half of what is drawn shows success.

    `labels` (n,) in [0, 1] may be soft; w_i = y_i / (2 sum y) + (1 - y_i) / (2 sum (1 - y)).
    """
    return labels / (2 * labels.sum()) + (1 - labels) / (2 * (1 - labels).sum())


def fit_success_heads(
    features: np.ndarray,  # (n, F) float32, standardised
    labels: np.ndarray,  # (n,) in [0, 1], of both kinds
    config: SuccessConfig,
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Train an ensemble by cross-entropy; return its weights and each member's bias (K,) float32, in logits.

    Each member learns from its own resample of the frames, half of it success.
    """
    generator = torch.Generator().manual_seed(config.seed)
    weights = init_heads(config.members, (features.shape[1], *config.hidden, 1), generator)
    bias = torch.zeros(config.members, 1)
    parameters = [tensor.requires_grad_() for tensor in (*weights.values(), bias)]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.updates)
    x, y = torch.from_numpy(features), torch.from_numpy(labels.astype(np.float32))
    chance = torch.from_numpy(balance(labels.astype(np.float64))).expand(config.members, -1)
    drawn = torch.multinomial(chance, len(x), replacement=True, generator=generator)  # (K, n)
    batch = min(config.batch_size, len(x))
    for _ in range(config.updates):
        places = torch.randint(len(x), (config.members, batch), generator=generator)
        rows = drawn.gather(1, places)
        loss = binary_cross_entropy_with_logits(rewards_of(weights, x[rows]) + bias, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: tensor.detach() for name, tensor in weights.items()}, bias.detach()[:, 0].numpy()
