"""The reward node with the pictures' brightness for its models: a labeling takes minutes to make."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from robot_rl_deployment import reward_node


def brightness(labeling: object) -> object:
    """In place of `picture_reward`."""
    return lambda pictures: (pictures.mean((1, 2, 3), dtype=np.float64), np.ones(len(pictures)))


class Bright:
    """In place of a success classifier: success is a bright picture, or a dark one by its folder's name."""

    probability = float("nan")

    def __init__(self, folder: object) -> None:
        self.detector, self.dark = lambda: self, Path(folder).name == "dark"

    def __call__(self, picture: np.ndarray) -> bool:
        self.probability = float(picture.mean()) / 255
        return (self.probability > 0.5) != self.dark

    def reset(self) -> None:
        """One picture is all it sees."""


reward_node.picture_reward, reward_node.load_success = brightness, Bright
sys.exit(reward_node.main())
