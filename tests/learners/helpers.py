"""Small transitions, and a known problem: a point on a line that should go to a place."""

from __future__ import annotations

import numpy as np

from robot_rl.data.replay import Transitions
from robot_rl.policies.checkpoint import PolicyDescription

GOAL = 0.6


def random_transitions(count: int = 64, state: int = 3, action: int = 2, seed: int = 0) -> Transitions:
    """Noise of the right shapes; every tenth transition terminates."""
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    ends = np.arange(count) % 10 == 9
    actions = rng.uniform(-1, 1, (count, action)).astype(np.float32)
    return Transitions(
        noise(count, state),
        actions,
        noise(count),
        1 - ends.astype(np.float32),
        noise(count, state),
        ends,
        np.arange(count),
    )


def describe(state: int = 3, action: int = 2, **changes: object) -> PolicyDescription:
    """A description that fits `random_transitions`, with limits of ±1."""
    fields = {
        "state_names": [f"s{i}" for i in range(state)],
        "state_units": ["m"] * state,
        "action_names": [f"a{i}" for i in range(action)],
        "action_units": ["1"] * action,
        "action_low": [-1.0] * action,
        "action_high": [1.0] * action,
        "fps": 10.0,
        "robot": "toy",
        "task": "reach",
        "task_text": "reach the goal",
        "dataset_hash": "0" * 64,
        "reward_source": "next.reward",
    }
    return PolicyDescription(**(fields | changes))


def move(x: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The line's dynamics: an action in [-1, 1] moves the point by up to 0.2, within [-1, 1]."""
    return np.clip(x + 0.2 * action, -1, 1)


def line_transitions(count: int = 3000, seed: int = 0) -> Transitions:
    """Random actions from everywhere on the line; the reward is minus the distance to the goal."""
    rng = np.random.default_rng(seed)
    x, action = (rng.uniform(-1, 1, (count, 1)).astype(np.float32) for _ in range(2))
    after = move(x, action).astype(np.float32)
    ones = np.ones(count, np.float32)
    return Transitions(x, action, -abs(after - GOAL)[:, 0], ones, after, ones < 0, np.arange(count))
