"""Embeds every frame of a dataset once and keeps the vectors in the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.specs.paths import cache_dir
from robot_rl.vision.encoder import ImageTextEncoder

_FRAMES = 512  # decoded at once


def embed_dataset(
    dataset: Dataset, camera: str, encoder: ImageTextEncoder, progress: Callable[[int], object] | None = None
) -> np.ndarray:
    """Return (N, D) float32 vectors of a camera's frames, from the cache if they are there."""
    path = _path(dataset, camera, encoder)
    if path.exists():
        with contextlib.suppress(ValueError, EOFError):  # a damaged entry is made again
            vectors = np.load(path, allow_pickle=False)
            if len(vectors) == dataset.info.total_frames:
                return vectors
    parts = []
    for _, frames in dataset.iter_frames(camera, _FRAMES):
        parts.append(encoder.images(frames))
        if progress:
            progress(len(frames))
    vectors = np.concatenate(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.npy")
    np.save(temporary, vectors, allow_pickle=False)
    temporary.rename(path)
    return vectors


def _path(dataset: Dataset, camera: str, encoder: ImageTextEncoder) -> Path:
    identity = {name: encoder.identity[name] for name in ("kind", "model", "weights")}
    content = json.dumps([dataset.content_hash, camera, identity, encoder.size], sort_keys=True)
    return cache_dir() / "embeddings" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"
