"""The reward node with the pictures' brightness for a reward: a labeling takes minutes to make."""

from __future__ import annotations

import sys

import numpy as np
from robot_rl_deployment import reward_node


def brightness(labeling: object) -> object:
    """In place of `picture_reward`."""
    return lambda pictures: (pictures.mean((1, 2, 3), dtype=np.float64), np.ones(len(pictures)))


reward_node.picture_reward = brightness
sys.exit(reward_node.main())
