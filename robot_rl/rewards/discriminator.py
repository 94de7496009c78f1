"""The baseline that needs demonstrations: a frame's reward is how much it looks like the demonstrations'."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils import skip_init

from robot_rl.rewards.checks import check_features, chunks

PRIOR = 0.5  # share of frames in the data that are as good as the demonstrations'
HIDDEN, UPDATES, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 64, 500, 256, 1e-3, 1e-2


def pu_risk(expert: Tensor, data: Tensor, prior: float) -> Tensor:
    """Non-negative positive-unlabeled risk of logits `expert` (E,) and `data` (N,).

    prior E_E[-log D] + max(0, E_U[-log(1 - D)] - prior E_E[-log(1 - D)]): Kiryo et al. 2017, eq. 6, with
    the logistic loss, as ORIL uses it (Zolna et al. 2020, arXiv 2011.13885): good frames in the data are
    not held against it.
    """
    negative = softplus(data).mean() - prior * softplus(expert).mean()
    return prior * softplus(-expert).mean() + negative.clamp(min=0)


def discriminator_reward(expert_features: np.ndarray, data_features: np.ndarray, seed: int) -> np.ndarray:
    """Reward D in [0, 1] (N,) float32 of `data_features` (N, F) against `expert_features` (E, F).

    D is the logistic output of a small network, as in ORIL. Raises BadInput.
    """
    expert = check_features(expert_features, "expert_features")
    data = check_features(data_features, "data_features", expert.shape[1])
    mean, std = data.mean(0, dtype=np.float64), data.std(0, dtype=np.float64)
    std = np.where(std <= 1e-6 * np.maximum(np.abs(mean), 1e-6), 1, std)

    def standardised(features: np.ndarray) -> Tensor:
        return torch.from_numpy(((features - mean) / std).astype(np.float32))

    generator = torch.Generator().manual_seed(seed)
    network = _network(expert.shape[1], generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(UPDATES):
        batches = [
            standardised(part[torch.randint(len(part), (BATCH_SIZE,), generator=generator).numpy()])
            for part in (expert, data)
        ]
        optimizer.zero_grad()
        pu_risk(network(batches[0])[:, 0], network(batches[1])[:, 0], PRIOR).backward()
        optimizer.step()
    with torch.no_grad():
        parts = [torch.sigmoid(network(standardised(data[rows]))[:, 0]) for rows in chunks(len(data))]
    return torch.cat(parts).numpy()


def _network(size: int, generator: torch.Generator) -> nn.Sequential:
    """An MLP that starts at D = 0.5, initialised by `generator` alone."""
    network = nn.Sequential(skip_init(nn.Linear, size, HIDDEN), nn.ReLU(), skip_init(nn.Linear, HIDDEN, 1))
    with torch.no_grad():
        network[0].weight.copy_((2 / size) ** 0.5 * torch.randn(HIDDEN, size, generator=generator))
        for parameter in (network[0].bias, network[2].weight, network[2].bias):
            parameter.zero_()
    return network
