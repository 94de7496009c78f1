"""Preferences to rewards: an ensemble of small heads on frozen image features, after Bradley and Terry.

Fitted on labeled frame pairs; `robot_rl.rewards.relabel` then writes its rewards into a dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robot_rl.rewards import storage
from robot_rl.rewards.checks import check_features, check_pairs, check_vector, chunks
from robot_rl.rewards.config import RewardConfig
from robot_rl.rewards.heads import fit_heads, rewards_of

__all__ = ["RewardConfig", "RewardModel"]
_FLAT = 1e-6  # logits; a member whose rewards spread less says nothing, and must not be blown up to std 1


@dataclass(frozen=True)
class RewardModel:
    """A fitted ensemble of K members; make it with `fit` or `load`.

    Each member's output has mean 0 and std 1 over the frames that it was fitted with (a flat one is 0
    throughout), so that the ensemble's mean and spread are in one unit: standard deviations of reward.
    """

    config: RewardConfig
    weights: Mapping[str, Tensor]  # of the heads, each (K, ...)
    feature_mean: np.ndarray  # (F,) float32
    feature_std: np.ndarray  # (F,) float32
    reward_mean: np.ndarray  # (K,) float32, logits
    reward_std: np.ndarray  # (K,) float32, logits; 0 for a flat member
    noise_rate: np.ndarray  # (K,) float32, learned share of flipped labels; 0 where not learned
    counts: Mapping[str, int] = field(default_factory=dict)  # frames, pairs, ties
    identity: Mapping[str, Any] = field(default_factory=dict)  # of the encoder, as given to `save`

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        pairs: np.ndarray,
        p: np.ndarray,
        config: RewardConfig | None = None,
        *,
        weights: np.ndarray | None = None,
    ) -> RewardModel:
        """Fit to `pairs` (M, 2) of frames and `p` (M,), the probability that the second is nearer the goal.

        Pairs of strips are (M, 2, S), the frames of each; a strip's reward is the mean of theirs. `features`
        (N, F) belong to all frames of the dataset; `weights` (M,) >= 0 say how much each pair counts. A tie
        is p = 0.5; "cannot tell" and "failed" are no pairs. The same seed, inputs and number of threads give
        the same model. Raises BadInput.
        """
        config = config or RewardConfig()
        features = check_features(features)
        pairs = check_pairs(pairs, len(features), least=2)
        p = check_vector("p", p, len(pairs), 0, 1)
        importance = _importance(weights, len(pairs))
        mean, std = moments_of(features)
        used, rows = np.unique(pairs, return_inverse=True)  # only these frames are held as tensors
        inputs = (standardised(features[used], mean, std), rows.reshape(pairs.shape), p, importance)
        heads, noise = fit_heads(*inputs, config)
        counts = {"frames": len(features), "pairs": len(pairs), "ties": int((p == 0.5).sum())}
        unit = np.ones(config.members, np.float32)
        return cls(config, heads, mean, std, 0 * unit, unit, noise, counts)._in_units_of(features)

    def reward(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and std (N,) float32 over the members' rewards of `features` (N, F); raises BadInput."""
        mean, std = np.empty((2, len(features)), np.float32)
        for rows, raw in self._raw(features):
            rewards = (raw - self.reward_mean[:, None]) * inverse_of(self.reward_std)[:, None]
            mean[rows], std[rows] = rewards.mean(0), rewards.std(0)
        return mean, std

    def probability(self, features: np.ndarray, pairs: np.ndarray, *, noise: bool = False) -> np.ndarray:
        """Probability (M,) float32 that the second of `pairs` (M, 2) or (M, 2, S) is nearer, members' mean.

        With `noise` it is the probability that a label says so, flipped ones included. Raises BadInput.
        """
        return self.probabilities(features, pairs, noise=noise).mean(0)

    def probabilities(self, features: np.ndarray, pairs: np.ndarray, *, noise: bool = False) -> np.ndarray:
        """The same of each member, (K, M) float32: where they differ, an answer would teach most."""
        pairs = check_pairs(pairs, len(features))
        used, rows = np.unique(pairs, return_inverse=True)
        raw = np.concatenate([part for _, part in self._raw(np.asarray(features)[used])], 1)
        first, second = np.moveaxis(raw[:, rows.reshape(pairs.shape)].mean(-1), -1, 0)  # (K, M) each
        flipped = self.noise_rate[:, None] if noise else 0.0
        s = (1 - 2 * flipped) * np.tanh((second - first) / 2)  # as in heads.label_loss
        return ((1 + s) / 2).astype(np.float32)

    def save(self, folder: str | Path, identity: Mapping[str, Any]) -> None:
        """Write the model to `folder`, replacing an older one; `identity` (JSON) names the encoder."""
        arrays = {name: getattr(self, name) for name in storage.ARRAYS}
        arrays |= {storage.HEAD + name: tensor.numpy() for name, tensor in self.weights.items()}
        storage.write_model(Path(folder), arrays, self.config, self.counts, identity)

    @classmethod
    def load(cls, folder: str | Path, identity: Mapping[str, Any] | None = None) -> RewardModel:
        """Read a model; with `identity`, one fitted on another encoder's features is refused by field.

        Raises BadInput for a folder that is no reward model, damaged, or written by a newer version.
        """
        arrays, config, counts, saved = storage.read_model(Path(folder), identity)
        names = [name for name in arrays if name.startswith(storage.HEAD)]
        heads = {name.removeprefix(storage.HEAD): torch.from_numpy(arrays.pop(name)) for name in names}
        return cls(config=config, weights=heads, counts=counts, identity=saved, **arrays)

    def _raw(self, features: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (rows, raw rewards (K, n) in logits), chunk by chunk."""
        features = check_features(features, size=len(self.feature_mean))
        for rows in chunks(len(features)):
            part = torch.from_numpy(standardised(features[rows], self.feature_mean, self.feature_std))
            with torch.no_grad():
                yield rows, rewards_of(self.weights, part.expand(self.config.members, -1, -1)).numpy()

    def _in_units_of(self, features: np.ndarray) -> RewardModel:
        """This model with each member's output standardised over `features` (N, F)."""
        raw = np.concatenate([part for _, part in self._raw(features)], 1).astype(np.float64)
        std = np.where(raw.std(1) > _FLAT, raw.std(1), 0)
        units = {"reward_mean": raw.mean(1).astype(np.float32), "reward_std": std.astype(np.float32)}
        return RewardModel(**{**vars(self), **units})


def _importance(weights: np.ndarray | None, count: int) -> np.ndarray:
    """How much each pair counts (count,), mean 1; raises BadInput."""
    weights = check_vector("weights", np.ones(count) if weights is None else weights, count, 0)
    return weights / check_vector("weights: their mean", weights[:, None].mean(0), 1, 1e-12)


def moments_of(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (F,) float32 over the frames; a number that never changes keeps std 1."""
    total = sum(features[rows].sum(0, dtype=np.float64) for rows in chunks(len(features)))
    mean = total / len(features)
    squares = sum(np.square(features[rows] - mean).sum(0) for rows in chunks(len(features)))
    std = np.sqrt(squares / len(features))
    constant = std <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return mean.astype(np.float32), np.where(constant, 1, std).astype(np.float32)


def standardised(features: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Features (n, F) in standard deviations, float32."""
    return ((features - mean) / std).astype(np.float32)


def inverse_of(std: np.ndarray) -> np.ndarray:
    """1 / std, and 0 where std is 0."""
    return np.divide(1, std, out=np.zeros_like(std), where=std > 0)
