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
    table = np.asarray(values, np.float64).reshape(len(values), -1)
    return {
        "min": table.min(0),
        "max": table.max(0),
        "mean": table.mean(0),
        "std": table.std(0),
        "count": np.array([len(table)]),
    }


def columns_stats(columns: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """`column_stats` of several columns of the same length, worked out together."""
    tables = {name: np.asarray(values).reshape(len(values), -1) for name, values in columns.items()}
    joined = column_stats(np.concatenate([table.astype(np.float64) for table in tables.values()], 1))
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
