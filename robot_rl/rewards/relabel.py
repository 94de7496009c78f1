"""Writes learned rewards into a new version of a dataset and keeps the source's own under another name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.rewards.checks import check_vector, chunks

if TYPE_CHECKING:
    from robot_rl.rewards.model import RewardModel

MEAN, STD = "reward.mean", "reward.std"
SOURCE_REWARD = "source.reward"  # for evaluation and controls only; nothing learns from it by default


def stream_rewards(model: RewardModel, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `model.reward`, mean and std (N,) float32, without holding memory-mapped `vectors` (N, F)."""
    from robot_rl.vision.cache import release

    mean, std = np.empty((2, len(vectors)), np.float32)
    for rows in chunks(len(vectors)):
        mean[rows], std[rows] = model.reward(vectors[rows])
        release(vectors)
    return mean, std


def relabel_dataset(
    dataset: Dataset,
    values: tuple[np.ndarray, np.ndarray],
    path: str | Path,
    provenance: Mapping[str, Any],
) -> Dataset:
    """Write `dataset` with learned rewards, `values` = (mean, std) of (N,) each, to `path`.

    "next.reward" and "reward.mean" become the mean and "reward.std" the ensemble's spread. A reward that
    came with the source is kept as "source.reward"; one that was learned earlier is not. `provenance`
    says which model made them. The source is not changed. Raises BadInput.
    """
    frames = dataset.info.total_frames
    mean = check_vector(MEAN, values[0], frames, -np.inf).astype(np.float32)
    std = check_vector(STD, values[1], frames, 0).astype(np.float32)
    columns = {layout.REWARD: mean, MEAN: mean, STD: std}
    labels = dataset.info.labels
    # Beside "reward.mean", "next.reward" is a learned one; beside "source.reward", the true one is safe.
    if dataset.info.has_rewards and MEAN not in labels and SOURCE_REWARD not in labels:
        columns[SOURCE_REWARD] = dataset.column(layout.REWARD)
    kept = SOURCE_REWARD in columns or SOURCE_REWARD in labels
    record = {"reward_source": "learned", "source_reward_column": SOURCE_REWARD if kept else None}
    return relabel(dataset, path, columns, provenance={**provenance, **record})
