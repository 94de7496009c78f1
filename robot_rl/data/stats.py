"""Statistics of columns in the form LeRobot keeps them: min, max, mean, std and count per feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.data.episode import Frames

Stats = Mapping[str, np.ndarray]
SAMPLED_FRAMES = 8  # of each episode
SAMPLED_PIXELS = 128  # at most so many rows and columns of each frame


def column_stats(values: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of a (T,) or (T, K) column over time, each (K,) float64; `count` is (1,) int64."""
    # One part behind the other: adding up along the rows of a table is several times slower.
    parts = np.array(np.asarray(values).reshape(len(values), -1).T, np.float64, order="C")
    return _stats(parts)


def _stats(parts: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of (K, T) float64, which is overwritten."""
    steps = parts.shape[1]
    mean = parts.sum(1) / steps
    found = {"min": parts.min(1), "max": parts.max(1), "mean": mean}
    parts -= mean[:, None]
    std = np.sqrt(np.einsum("kt,kt->k", parts, parts) / steps)
    return {**found, "std": std, "count": np.array([steps])}


def counting_stats(start: int, steps: int) -> dict[str, np.ndarray]:
    """`column_stats` of start, start + 1, ... over so many steps."""
    std = np.sqrt((steps**2 - 1) / 12)
    last = start + steps - 1
    values = {"min": start, "max": last, "mean": (start + last) / 2, "std": std}
    return {**{k: np.array([float(v)]) for k, v in values.items()}, "count": np.array([steps])}


def constant_stats(value: float, steps: int) -> dict[str, np.ndarray]:
    """`column_stats` of one value over so many steps."""
    values = {"min": value, "max": value, "mean": value, "std": 0.0}
    return {**{k: np.array([float(v)]) for k, v in values.items()}, "count": np.array([steps])}


def columns_stats(columns: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """`column_stats` of several columns of the same length, worked out together."""
    tables = {name: np.asarray(values).reshape(len(values), -1) for name, values in columns.items()}
    width, steps = sum(table.shape[1] for table in tables.values()), len(next(iter(tables.values())))
    parts, start = np.empty((width, steps)), 0
    for table in tables.values():
        parts[start : start + table.shape[1]] = table.T
        start += table.shape[1]
    joined = _stats(parts)
    found, start = {}, 0
    for name, table in tables.items():
        part = slice(start, start + table.shape[1])
        found[name] = {k: v if k == "count" else v[part] for k, v in joined.items()}
        start = part.stop
    return found


def image_stats(frames: Frames | np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of some frames per colour channel, each (3, 1, 1) in [0, 1]; `count` is the frames used."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(SAMPLED_FRAMES, len(frames))).round().astype(int))
    step = max(1, -(-max(frames.shape[1:3]) // SAMPLED_PIXELS))
    pixels = frames[chosen][:, ::step, ::step].reshape(-1, 3)
    stats = column_stats(pixels.astype(np.float64) / 255)
    shaped = {key: value.reshape(3, 1, 1) for key, value in stats.items() if key != "count"}
    return {**shaped, "count": np.array([len(chosen)])}


def merge_stats(parts: Sequence[Stats]) -> dict[str, np.ndarray]:
    """Statistics of several episodes together, from each one's own."""
    count = np.array([float(np.ravel(part["count"])[0]) for part in parts])
    stack = {
        key: np.stack([np.asarray(part[key], np.float64) for part in parts])
        for key in ("min", "max", "mean", "std")
    }
    weight = (count / count.sum()).reshape(-1, *[1] * (stack["mean"].ndim - 1))
    mean = (stack["mean"] * weight).sum(0)
    variance = ((stack["std"] ** 2 + (stack["mean"] - mean) ** 2) * weight).sum(0)
    return {
        "min": stack["min"].min(0),
        "max": stack["max"].max(0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([int(count.sum())]),
    }
