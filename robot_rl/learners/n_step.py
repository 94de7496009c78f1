"""Returns over n steps: several rewards at once before the value of what follows is trusted."""

from __future__ import annotations

import dataclasses

import numpy as np

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput


def n_step(transitions: Transitions, n: int, discount: float) -> Transitions:
    """Replace each reward by the discounted sum of up to n, and what follows by what follows the last.

    With m = min(n, steps left in the episode): r <- sum over k < m of discount^k r_{t+k}, s' <- s_{t+m} and
    mask <- discount^(m-1) mask_{t+m-1}, so that a learner's r + discount mask V(s') is right for any m.
    """
    if n < 1:
        raise BadInput(f"n_step must be at least 1, not {n}")
    if n == 1 or not len(transitions):
        return transitions
    t = transitions
    ends = np.flatnonzero(np.append(t.episode_ends[:-1], True))  # the last episode may be cut off
    last_of_episode = ends[np.searchsorted(ends, np.arange(len(t)))]
    last = np.minimum(np.arange(len(t)) + n - 1, last_of_episode)
    sums = np.zeros(len(t), np.float64)
    for k in range(n):
        rows = np.flatnonzero(np.arange(len(t)) + k <= last)
        sums[rows] += discount**k * t.rewards[rows + k]
    masks = discount ** (last - np.arange(len(t))) * t.masks[last]
    return dataclasses.replace(
        t,
        rewards=sums.astype(np.float32),
        masks=masks.astype(np.float32),
        next_observations=t.next_observations[last],
    )
