"""How deep an arm is in a sleeve: where its axis crosses the surface that a ring of cloth points spans."""

from __future__ import annotations

import numpy as np


def depth_in_ring(ring: np.ndarray, axis: np.ndarray) -> float:
    """How much of a line of joints lies beyond a ring, measured along it from its first joint (m).

    ring (n, 3) are the ring's points in order, axis (k, 3) the joints from the fingertips on. The ring is
    spanned by the triangles from its centre; 0 where none is crossed, and the farthest crossing otherwise.
    """
    starts, vectors = axis[:-1], np.diff(axis, axis=0)
    lengths = np.linalg.norm(vectors, axis=1)
    before = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    share = _crossings(ring, starts, vectors)  # (segments, triangles), NaN where there is none
    depths = before[:, None] + share * lengths[:, None]
    return float(np.nanmax(depths)) if np.isfinite(depths).any() else 0.0


def _crossings(ring: np.ndarray, starts: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Where each segment crosses each triangle, as a share of the segment (Möller and Trumbore, 1997)."""
    centre = ring.mean(0)
    one, two = ring - centre, np.roll(ring, -1, 0) - centre
    normal = np.cross(vectors[:, None], two[None])
    flat = (one * normal).sum(-1)
    offset = (starts - centre)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (offset * normal).sum(-1) / flat
        across = np.cross(offset, one[None])
        v = (vectors[:, None] * across).sum(-1) / flat
        share = (two * across).sum(-1) / flat
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (share >= 0) & (share <= 1)
    return np.where(inside, share, np.nan)
