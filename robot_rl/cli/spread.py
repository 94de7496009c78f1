"""Does the heavy steps of a labeling in this process or, where `--ray` names one, on a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from robot_rl.cli.asking import Look, look_at
from robot_rl.data.store import Dataset
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.types import Labeler
from robot_rl.rewards.model import RewardModel
from robot_rl.rewards.relabel import stream_rewards
from robot_rl.specs.tasks import load_task
from robot_rl.vision.cache import embed_dataset
from robot_rl.vision.encoder import ImageTextEncoder

Progress = Callable[[int], object]


def on_cluster(address: str) -> contextlib.AbstractContextManager:
    """Be connected to the cluster at `address` inside the block; without an address nothing happens."""
    if not address:
        return contextlib.nullcontext()
    from robot_rl.cli.cluster import connected

    return connected(address)


def embed(
    address: str, dataset: Dataset, camera: str, encoder: ImageTextEncoder, progress: Progress | None = None
) -> np.ndarray:
    """Vectors (N, D) of all frames, from the cache as far as they are there."""
    if not address:
        return embed_dataset(dataset, camera, encoder, progress)
    from robot_rl.cli.cluster import ray_shards

    return embed_dataset(dataset, camera, encoder, progress, ray_shards)


def rewards(address: str, model: RewardModel, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (N,) of the rewards of vectors (N, D)."""
    if not address:
        return stream_rewards(model, vectors)
    from robot_rl.cli.cluster import ray_rewards

    return ray_rewards(model, vectors)


@dataclass(frozen=True)
class SharedLook:
    """A FrameSource that a worker opens itself, by the dataset's path; what `look_at` makes of the frames."""

    path: str
    camera: str
    task: str = ""  # name or path of the task card; empty for a goal without one
    strip: int = 1
    trace: int = 0
    trace_file: Path | None = None

    def __call__(self, indices: np.ndarray) -> np.ndarray:
        return _opened(self).frames(indices)


@lru_cache(maxsize=1)
def _opened(look: SharedLook) -> Look:
    from robot_rl.cli.cluster import opened

    card = load_task(look.task) if look.task else None
    return look_at(opened(look.path), look.camera, card, look.strip, look.trace, look.trace_file)


def chat_on(address: str, labeler: ChatLabeler, look: SharedLook, told: str) -> Labeler:
    """The labeler itself, or one with its name and identity whose questions are asked by the cluster."""
    if not address:
        return labeler
    from robot_rl.cli.cluster import cpus
    from robot_rl.cli.cluster_label import ChatMaker, RayLabeler

    maker = ChatMaker(labeler.config, told)
    return RayLabeler(maker, maker.workers(cpus()), look)
