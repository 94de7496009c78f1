"""What the chat labeler's tests share: questions about pictures of known brightness, and quick settings."""

from __future__ import annotations

import numpy as np

from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.types import Pair
from tests.preferences.chat_server import fault_of
from tests.preferences.fakes import brightness_frames

FRAMES = brightness_frames()
PAIRS = [Pair(i, (i * 5 + 3) % 12) for i in range(12)] + [Pair(4, 4)]
_IMAGES = np.random.default_rng(3).integers(0, 256, (40, 1, 1, 1)) + np.zeros((40, 6, 6, 3), np.uint8)
_IMAGES[:, 0, 0, 0] = np.arange(40)  # no two alike
MANY = [Pair(i, j) for i in range(40) for j in range(i + 1, 40)]


def many_frames(indices):
    """40 pictures (n, 6, 6, 3) uint8."""
    return _IMAGES.astype(np.uint8)[np.asarray(indices)]


def config(server, **changes) -> ChatConfig:
    """Settings under which a test does not wait."""
    settings = {"url": server.url, "model": "toy", "image_format": "png", "backoff": 0.01, "timeout": 5.0}
    return ChatConfig(**{**settings, **changes})


def questions(pairs=None, frames=FRAMES, order="given"):
    """Questions about the pairs."""
    return make_questions(PAIRS if pairs is None else pairs, frames, "open the drawer", "close it", order)


def fault(question, frames, settings, faults) -> str:
    """Which fault the server has for a question's pair."""
    first, second = (data_uri(image, settings) for image in frames(np.array(question.shown)))
    return fault_of(first, second, faults)
