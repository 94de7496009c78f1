"""Synthetic features with a known linear reward, and labels on random pairs of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Labeled:
    """Labels with what is true behind them."""

    features: np.ndarray  # (N, F) float32
    true: np.ndarray  # (N,) reward
    pairs: np.ndarray  # (M, 2)
    p: np.ndarray  # (M,), some of them flipped
    held_out: np.ndarray  # (H, 2) pairs


def labeled(seed: int, count: int, flipped: float, size: int = 16, frames: int = 4000) -> Labeled:
    """`count` hard labels of a linear reward, a share of them `flipped`; features have odd units."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(frames, size))
    true = features @ rng.normal(size=size)
    features = (5 + 0.01 * features).astype(np.float32)
    pairs = rng.integers(0, frames, (count, 2))
    p = (true[pairs[:, 1]] > true[pairs[:, 0]]).astype(float)
    p = np.where(rng.random(count) < flipped, 1 - p, p)
    return Labeled(features, true, pairs, p, rng.integers(0, frames, (3000, 2)))
