"""Frames as data URIs, the form in which a chat endpoint takes pictures."""

from __future__ import annotations

import base64

import numpy as np

from robot_rl.data.video_write import encode_png
from robot_rl.errors import RobotRLError, need
from robot_rl.preferences.chat.config import ChatConfig


def data_uri(image: np.ndarray, config: ChatConfig) -> str:
    """Encode an image (H, W, 3) uint8 RGB as the config says: "data:image/jpeg;base64,..."."""
    data = encode(scale(image, config.image_size), config)
    return f"data:image/{config.image_format};base64,{base64.b64encode(data).decode()}"


def scale(image: np.ndarray, longest: int) -> np.ndarray:
    """Make the longest side `longest` px, keeping the proportions; 0 leaves the image as it is."""
    height, width = image.shape[:2]
    if not longest or max(height, width) == longest:
        return image
    factor = longest / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    cv2 = need("cv2", "chat")
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=way)


def encode(image: np.ndarray, config: ChatConfig) -> bytes:
    """Encode an image as PNG, or as JPEG of the config's quality; equal images give equal bytes."""
    if config.image_format == "png":
        return encode_png(np.ascontiguousarray(image))
    cv2 = need("cv2", "chat")
    written, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality]
    )
    if not written:
        raise RobotRLError(f"an image of shape {image.shape} could not be written as JPEG")
    return data.tobytes()
