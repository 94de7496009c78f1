"""A sensor_msgs/Image as an array; works on anything with its attributes, so no ROS is needed to test it."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.errors import BadInput, nearest

_ORDER = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


def picture_of(message: Any) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB of an image message; BadInput for other encodings or cut data."""
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise BadInput(f"encoding '{message.encoding}' cannot be read.{nearest(message.encoding, _CHANNELS)}")
    height, width, step = message.height, message.width, message.step
    data = np.frombuffer(message.data, np.uint8)
    if not height or not width or step < width * channels or len(data) < height * step:
        raise BadInput(
            f"{len(data)} bytes are no picture of {height}x{width} in {message.encoding}, {step} a row"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * channels]
    return rows.reshape(height, width, channels)[:, :, _ORDER[message.encoding]]
