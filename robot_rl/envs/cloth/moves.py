"""How a gripper is sent about: to a point, or nowhere in particular."""

from __future__ import annotations

import numpy as np

from robot_rl.envs.task_env import Act

STEP = 0.02  # m that ±1 of an action moves the gripper's set-point by
_NEAR = 0.05  # m; actions saturate farther from the target than this
_KEEP, _KICK = 0.85, 0.4  # Ornstein–Uhlenbeck noise on the action


def towards(target: np.ndarray, gripper: np.ndarray, fourth: float) -> np.ndarray:
    """Action (4,) that brings the gripper (3,) m to a target (3,) m; `fourth` is the action's last number."""
    wished = (target - gripper) / _NEAR
    return np.append(wished / max(1.0, np.abs(wished).max()), fourth)


def wandering(rng: np.random.Generator) -> Act:
    """Draw smooth noise on all four numbers of the action."""
    drift = np.zeros(4)

    def act() -> np.ndarray:
        drift[:] = _KEEP * drift + _KICK * rng.normal(size=4)
        return drift.copy()

    return act
