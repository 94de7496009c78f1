"""Synthetic recordings for the checks: a robot whose joints follow its actions one step later."""

from __future__ import annotations

import numpy as np

from robot_rl.data.findings.types import Signal

FPS = 20.0


def signal(field: str, values: np.ndarray, episodes: int, parts=None, units=None) -> Signal:
    """`values` (N, K) as `episodes` episodes of equal length, numbered 10, 11, ..."""
    values = np.asarray(values, np.float32)
    values = values[:, None] if values.ndim == 1 else values
    names = tuple(parts or [f"c{i}" for i in range(values.shape[1])])
    starts = np.arange(episodes) * (len(values) // episodes)
    known = tuple(units or [""] * values.shape[1])
    return Signal(field, names, known, values, starts, 10 + np.arange(episodes))


def robot(episodes: int = 8, steps: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """States (N, 3) rad that reach their targets, the actions (N, 3), one step later."""
    rng = np.random.default_rng(seed)
    states, actions = [], []
    for _ in range(episodes):
        time = np.arange(steps + 1)[:, None] / FPS
        path = np.sin(time * rng.uniform(1, 2, 3) + rng.uniform(0, 6, 3)) + rng.normal(
            0, 0.01, (steps + 1, 3)
        )
        states.append(path[:-1])
        actions.append(path[1:])
    return np.concatenate(states).astype(np.float32), np.concatenate(actions).astype(np.float32)
