"""Where Go2's feet are and which joint angles put them there; lengths of sim/go2/go2.xml, in m and rad.

Legs are ordered FL, FR, RL, RR, the joints of each hip, thigh, calf. A leg's frame sits at its hip joint:
x forward, y left, z up, parallel to the trunk.
"""

from __future__ import annotations

import numpy as np

HIPS = np.array([[0.1934, 0.0465], [0.1934, -0.0465], [-0.1934, 0.0465], [-0.1934, -0.0465]])  # (4, 2) x, y
SIDE = np.array([1.0, -1.0, 1.0, -1.0])  # left is positive
OFFSET, LINK = 0.0955, 0.213  # from the hip joint out to the thigh; thigh and calf are equally long
STANCE = np.tile([0.0, 0.9, -1.8], 4)  # (12,) the pose around which actions move
_LONGEST, _SHORTEST = 1.99 * LINK, 0.1  # of hip to foot, seen from the side


def joints_for(feet: np.ndarray) -> np.ndarray:
    """(12,) joint angles that bring the feet to (4, 3) in the legs' frames, or as near as they reach."""
    x, y, z = feet.T
    height = np.sqrt(np.maximum(y * y + z * z - OFFSET**2, 1e-6))
    hip = np.arctan2(z, y) - np.arctan2(-height, SIDE * OFFSET)
    hip = (hip + np.pi) % (2 * np.pi) - np.pi
    reach = np.clip(x * x + height * height, _SHORTEST**2, _LONGEST**2)
    calf = -np.arccos(reach / (2 * LINK**2) - 1)
    return np.stack([hip, np.arctan2(-x, height) - calf / 2, calf], 1).ravel()


def feet_at(joints: np.ndarray) -> np.ndarray:
    """(4, 3) positions of the feet in the legs' frames for (12,) joint angles."""
    hip, thigh, calf = joints.reshape(4, 3).T
    x = -LINK * (np.sin(thigh) + np.sin(thigh + calf))
    height = LINK * (np.cos(thigh) + np.cos(thigh + calf))
    out = SIDE * OFFSET
    y = out * np.cos(hip) + height * np.sin(hip)
    return np.stack([x, y, out * np.sin(hip) - height * np.cos(hip)], 1)


def lifting(joints: np.ndarray) -> np.ndarray:
    """(4, 3) derivatives of the feet's heights by their own leg's joints (m/rad)."""
    y = feet_at(joints)[:, 1]
    hip, thigh, calf = joints.reshape(4, 3).T
    lower = LINK * np.sin(thigh + calf)
    return np.stack([y, np.cos(hip) * (LINK * np.sin(thigh) + lower), np.cos(hip) * lower], 1)
