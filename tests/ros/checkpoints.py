"""Checkpoints for one axis whose wish is a constant, to tell their weights apart on the wire."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.policies.checkpoint import PolicySpec, save_checkpoint


def axis_checkpoint(folder: Path, wish: float, fps: float, **changes: object) -> Path:
    """A policy that wishes `wish` in [-1, 1] whatever it sees."""
    fields = {
        "state_names": ["x"], "state_units": [""], "state_mean": [0.0], "state_std": [1.0],
        "action_names": ["a"], "action_units": [""], "action_low": [-1.0], "action_high": [1.0],
        "fps": fps, "robot": "axis", "task": "stay", "task_text": "stay", "dataset_hash": "0" * 64,
        "reward_source": "", "version": "0.1.0", "hidden": [2], "algorithm": "bc", "config": {},
    }  # fmt: skip
    weights = {
        "layer0.weight": np.zeros((1, 2)), "layer0.bias": np.zeros(2), "layer1.weight": np.zeros((2, 1)),
        "layer1.bias": np.array([np.arctanh(wish)]), "log_std": np.zeros(1),
    }  # fmt: skip
    return save_checkpoint(folder, weights, PolicySpec(**(fields | changes)))
