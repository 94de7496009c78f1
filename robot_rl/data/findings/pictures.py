"""Checks of cameras on some pictures of an episode: frozen while the robot moves, dark, of one colour."""

from __future__ import annotations

import numpy as np

from robot_rl.data.episode import Frames
from robot_rl.data.findings.types import Finding, Place

SECONDS = 0.5  # between two pictures looked at, where the episode is not too long for it
MOST = 48  # pictures of an episode and camera
DARK, UNIFORM = 12.0, 2.0  # grey levels of 255: mean, and standard deviation over the picture
SAME = 2.0  # grey levels: most that a part of a frozen picture differs after video coding
BLOCKS = 16  # parts along each side
MOVED = 0.05  # of a channel's range over the dataset: the robot moves


def looked_at(length: int, fps: float) -> np.ndarray:
    """The steps (n,) of an episode whose pictures are looked at, the first and last among them."""
    count = int(np.clip(np.ceil(length / fps / SECONDS) + 1, 2, MOST))
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.int64))


def grey(pictures: np.ndarray) -> np.ndarray:
    """Pictures (n, H, W, 3) uint8 as mean grey levels (n, B, B) float32 of BxB parts."""
    height, width = pictures.shape[1:3]
    rows = np.linspace(0, height, min(BLOCKS, height) + 1).astype(int)[:-1]
    columns = np.linspace(0, width, min(BLOCKS, width) + 1).astype(int)[:-1]
    # uint16 sums of the three colours keep a large picture small in memory.
    total = pictures.sum(-1, dtype=np.uint16).astype(np.float32) / 3
    parts = np.add.reduceat(np.add.reduceat(total, rows, 1), columns, 2)
    size = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    return parts / size


def dark(levels: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(n,) bool: pictures nearly black, or all of one colour, from `levels` (n, B, B) and `spread` (n,)."""
    return (levels.mean((1, 2)) < DARK) | (spread < UNIFORM)


def alike(levels: np.ndarray) -> np.ndarray:
    """(n - 1,) bool: no part of a picture differs from the picture before by more than coding does."""
    return np.abs(np.diff(levels, axis=0)).max((1, 2)) < SAME


def look(
    episode: int, camera: str, frames: Frames | np.ndarray, state: np.ndarray, scale: np.ndarray, fps: float
) -> list[tuple[str, str, Place]]:
    """(kind, camera, place) of dark and of frozen stretches in one camera of one episode.

    `state` is (T, S), `scale` (S,) each channel's range over the dataset. A stretch reaches from one picture
    looked at to another: its ends are known to within `SECONDS` in an episode of up to 24 s.
    """
    steps = looked_at(len(state), fps)
    levels, spread = [], []
    for step in steps:  # one at a time: pictures may be large
        picture = frames[np.array([step])]
        levels.append(grey(picture)[0])
        spread.append(float(picture[0, ::4, ::4].std()))
    levels, black = np.array(levels), dark(np.array(levels), np.array(spread))
    found = [("dark", camera, Place(episode, *stretch)) for stretch in _stretches(black, steps)]
    frozen = np.append(alike(levels) & ~black[1:], False)
    for first, last in _pairs(frozen, steps):
        moved = np.ptp(state[first : last + 1], 0) > MOVED * scale
        if (moved & (scale > 0)).any():
            found.append(("frozen", camera, Place(episode, first, last)))
    return found


def _stretches(mask: np.ndarray, steps: np.ndarray) -> list[tuple[int, int]]:
    """First and last step of each stretch of `mask` (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(steps[a]), int(steps[b - 1])) for a, b in edges.reshape(-1, 2)]


def _pairs(same: np.ndarray, steps: np.ndarray) -> list[tuple[int, int]]:
    """From the first to the last picture of each stretch in which each is like the one before."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same[:-1], [False]]).astype(int)))
    return [(int(steps[a]), int(steps[b])) for a, b in edges.reshape(-1, 2)]


def picture_findings(seen: list[tuple[str, str, Place]], examined: int) -> list[Finding]:
    """One finding a kind and camera from what `look` found in `examined` episodes."""
    found = []
    for kind, camera in dict.fromkeys((kind, camera) for kind, camera, _ in seen):
        places = tuple(p for k, c, p in seen if (k, c) == (kind, camera))
        count = len({place.episode for place in places})
        what, remedy = _WORDS[kind]
        told = f"{what} in {count} of the {examined} episodes looked at"
        found.append(Finding(kind, "warning", f"camera {camera}", told, remedy, places))
    return found


_WORDS = {
    "dark": (
        "black or of one colour",
        "lens covered, light off or no signal: leave the episodes out (filter --without dark) or cut (crop)",
    ),
    "frozen": (
        "shows one picture while the robot moves",
        "the camera or its topic hung: leave the episodes out (filter --without frozen) or cut (crop)",
    ),
}
