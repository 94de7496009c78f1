"""Fewer numbers for what a frozen encoder sees: the principal components of its features on one dataset.

Hundreds of features, most of which hardly move, let a policy remember single frames instead of learning what
to do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

SIZE = 16  # with 32, cloning 100 episodes remembers frames and fails more often; iql minds less
_FRAMES = 20_000  # at most, evenly spread, that the components are measured on


@dataclass(frozen=True)
class Bottleneck:
    """Features (..., D) to their principal components (..., K), those of the largest variance."""

    mean: np.ndarray  # (D,) float32
    components: np.ndarray  # (D, K) float32, orthonormal columns

    @classmethod
    def fit(cls, features: np.ndarray, size: int = SIZE) -> Bottleneck:
        """Measure on features (N, D); K is `size`, or D where that is less."""
        some = np.asarray(features[:: max(1, len(features) // _FRAMES)], np.float64)
        mean = some.mean(0)
        _, vectors = np.linalg.eigh((some - mean).T @ (some - mean))  # of rising variance
        return cls(mean.astype(np.float32), np.ascontiguousarray(vectors[:, ::-1][:, :size], np.float32))

    @property
    def size(self) -> int:
        """K."""
        return self.components.shape[1]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Components (N, K) float32 of features (N, D)."""
        return (features - self.mean) @ self.components

    def after(self, net: nn.Module) -> nn.Module:
        """A network that gives the components of what `net` gives."""
        last = nn.Linear(*self.components.shape)
        with torch.no_grad():
            last.weight.copy_(torch.from_numpy(self.components.T.copy()))
            last.bias.copy_(torch.from_numpy(-self.mean @ self.components))
        return nn.Sequential(net, last)

    def hash_with(self, weights: str) -> str:
        """SHA-256 of these components and of the encoder's `weights`."""
        content = weights.encode() + self.mean.tobytes() + self.components.tobytes()
        return hashlib.sha256(content).hexdigest()
