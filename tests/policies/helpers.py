"""A small actor in torch, and the checkpoint of the same."""

from __future__ import annotations

import torch

from robot_rl.policies.checkpoint import PolicySpec
from robot_rl.policies.networks import GaussianActor


def make_actor(state: int = 3, hidden: tuple[int, ...] = (8, 4), action: int = 2) -> GaussianActor:
    """An actor whose actions use the whole range."""
    actor = GaussianActor(state, hidden, action, torch.Generator().manual_seed(0))
    with torch.no_grad():
        actor.net.weights[-1].mul_(100)
        actor.net.biases[0].fill_(0.1)
    return actor


def make_spec(**changes: object) -> PolicySpec:
    """The spec that fits `make_actor`: limits -1 to 3 and 10 to 20."""
    fields = {
        "state_names": ["x", "y", "z"],
        "state_units": ["m"] * 3,
        "state_mean": [1.0, 2.0, 3.0],
        "state_std": [0.5, 1.0, 2.0],
        "action_names": ["a", "b"],
        "action_units": ["N", "rad"],
        "action_low": [-1.0, 10.0],
        "action_high": [3.0, 20.0],
        "fps": 10.0,
        "robot": "toy",
        "task": "reach",
        "task_text": "reach the goal",
        "dataset_hash": "0" * 64,
        "reward_source": "",
        "version": "0.1.0",
        "hidden": [8, 4],
        "algorithm": "bc",
        "config": {"steps": 1},
    }
    return PolicySpec(**(fields | changes))
