"""Questions whose right answer is known by brightness, for the tests of the labeler human."""

from __future__ import annotations

import numpy as np

from robot_rl.preferences.human.config import HumanConfig
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.types import Pair
from tests.preferences.fakes import brightness_frames

FRAMES = brightness_frames(40)
TASK = "the drawer is open"


def level(index):
    return float(FRAMES(np.array([index])).mean())


def pairs(count):
    """Different pairs of frames of different brightness, none of it black."""
    bright = [i for i in range(40) if level(i) > 0]
    found = [Pair(a, b) for step in (1, 2, 3, 5) for a, b in zip(bright, bright[step:], strict=False)]
    return found[:count]


def questions(count=10, **changes):
    return make_questions(pairs(count), FRAMES, TASK, "the drawer is closed", **changes)


def config(*raters, **changes):
    return HumanConfig(raters=raters or ("anna",), **{"grace": 0.0, **changes})
