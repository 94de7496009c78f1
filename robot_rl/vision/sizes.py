"""Brings pictures to the size that an encoder sees; no torch here, as robots do it too."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import BadInput, need

_SMALLEST = 0.5  # of the encoder's picture size; below, enlarging would invent what is to be judged


def fit_size(pictures: np.ndarray, size: int) -> np.ndarray:
    """Bring pictures (n, H, W, 3) uint8 to (n, size, size, 3), averaging areas; BadInput if too small."""
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        raise BadInput(f"pictures must be (n, H, W, 3) uint8, not {pictures.dtype} {pictures.shape}")
    height, width = pictures.shape[1:3]
    if min(height, width) < _SMALLEST * size:
        raise BadInput(
            f"pictures of {height}x{width} pixels are too small for this encoder, which sees {size}x{size}; "
            f"it takes at least {round(_SMALLEST * size)} pixels a side: record larger pictures or choose "
            "an encoder for smaller ones"
        )
    if (height, width) == (size, size):
        return np.ascontiguousarray(pictures)
    cv2 = need("cv2", "vlm")
    way = cv2.INTER_AREA if min(height, width) >= size else cv2.INTER_LINEAR
    return np.stack([cv2.resize(picture, (size, size), interpolation=way) for picture in pictures])
