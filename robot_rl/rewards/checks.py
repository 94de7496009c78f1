"""What fitting and using a reward model asks of its arrays; each fault is one line that names the place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_rl.errors import BadInput

CHUNK = 16384  # rows of features that are worked on at a time


def chunks(count: int) -> Iterator[slice]:
    """Cut `count` rows into slices of CHUNK."""
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def check_features(features: np.ndarray, where: str = "features", size: int | None = None) -> np.ndarray:
    """Return `features` (N, F) if they are finite floats, N and F >= 1 (F == `size` if given)."""
    features = features if isinstance(features, np.ndarray) else np.asarray(features)
    if features.ndim != 2 or 0 in features.shape or features.dtype.kind != "f":
        raise BadInput(
            f"{where}: must be floats (N, F), one row a frame, not {features.dtype} {features.shape}"
        )
    if size is not None and features.shape[1] != size:
        raise BadInput(
            f"{where}: have {features.shape[1]} numbers a frame, but the reward model was fitted on {size}; "
            "use the encoder that it was fitted with"
        )
    for rows in chunks(len(features)):
        finite = np.isfinite(features[rows]).all(1)
        if not finite.all():
            row = rows.start + int(np.argmin(finite))
            column = int(np.argmin(np.isfinite(features[row])))
            value = features[row, column]
            raise BadInput(f"{where}: {value} at frame {row}, number {column}; every one must be finite")
    return features


def check_pairs(pairs: np.ndarray, frames: int, least: int = 1) -> np.ndarray:
    """Return `pairs` as (M, 2, S) int64, M >= `least`, each a frame index in 0..frames - 1.

    They may come as (M, 2), pairs of frames, which is S = 1, or as (M, 2, S), pairs of strips of S frames.
    """
    pairs = np.asarray(pairs)
    right_shape = pairs.ndim in (2, 3) and pairs.shape[1] == 2 and 0 not in pairs.shape[2:]
    if not right_shape or pairs.dtype.kind not in "iu":
        raise BadInput(
            "pairs: must be integers (M, 2), one pair of frames a row, or (M, 2, S), pairs of strips, not "
            f"{pairs.dtype} {pairs.shape}"
        )
    if len(pairs) < least:
        raise BadInput(f"pairs: {len(pairs)} labeled pairs, but at least {least} are needed; label more")
    outside = ((pairs < 0) | (pairs >= frames)).reshape(len(pairs), -1)
    if outside.any():
        row = int(np.argmax(outside.any(1)))
        raise BadInput(f"pairs: pair {row} is {pairs[row].tolist()}; frames go from 0 to {frames - 1}")
    return pairs.astype(np.int64).reshape(len(pairs), 2, -1)


def check_vector(name: str, values: np.ndarray, count: int, low: float, high: float = np.inf) -> np.ndarray:
    """Return `values` as (count,) float64, each finite and in [low, high]."""
    values = np.asarray(values)
    if values.shape != (count,) or values.dtype.kind not in "fiub":
        raise BadInput(f"{name}: must be numbers ({count},), not {values.dtype} {values.shape}")
    values = values.astype(np.float64)
    good = np.isfinite(values) & (values >= low) & (values <= high)
    if not good.all():
        row = int(np.argmin(good))
        limits = "".join(
            f" and {sign} {limit:g}" for sign, limit in ((">=", low), ("<=", high)) if np.isfinite(limit)
        )
        raise BadInput(f"{name}: {values[row]:g} at index {row}; every value must be finite{limits}")
    return values
