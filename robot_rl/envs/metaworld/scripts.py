"""Scripted policies of our own, for what Meta-World has none: raw observation (39,) to action (4,)."""

from __future__ import annotations

import numpy as np

_HEAD_TO_GRASP = 0.13  # m along x, from the peg's head to the point at which Meta-World says the peg is
_FREE = 0.16  # m, head to the hole's middle, from where the peg may be lowered
_NEAR = 0.03  # m, as far as the hand may be above that point to close around it
_GAIN = 10.0  # action per m


def pull_out(raw: np.ndarray) -> np.ndarray:
    """The scripted policy: over the peg, around it, out along x, down, and let go; (39,) to action (4,)."""
    hand, peg, hole = raw[:3], raw[4:7], raw[-3:]
    out = peg[0] - _HEAD_TO_GRASP - hole[0]
    if out > _FREE - 0.02 and peg[2] < 0.05:
        return np.append(_GAIN * (np.array([hand[0], hand[1], 0.25]) - hand), -1.0)
    if np.linalg.norm(hand[:2] - peg[:2]) > 0.04:
        return np.append(_GAIN * (peg + (0.0, 0.0, 0.2) - hand), -1.0)
    if hand[2] - peg[2] > _NEAR:
        return np.append(_GAIN * (peg - hand), -1.0)
    if out < _FREE:
        closed = raw[3] < 0.75
        return np.array([0.6 if closed else 0.0, 0.0, 0.0, 0.8])
    return np.array([0.0, 0.0, -0.6, 0.6])


OWN = {"peg-remove": pull_out}
