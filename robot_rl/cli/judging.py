"""From a dataset to a labeled dataset: judge, pairs, preferences, reward model, new version.

The steps behind `robot-rl label` and the demo after `asking`; each takes what the one before returned.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.cli.asking import Asked, Goal, Look
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.preferences.clip import ClipLabeler, ladders
from robot_rl.preferences.oracle import OracleLabeler
from robot_rl.rewards.metrics import accuracy_by_gap
from robot_rl.rewards.model import RewardConfig, RewardModel
from robot_rl.specs.paths import cache_dir
from robot_rl.specs.tasks import TaskCard
from robot_rl.vision.encoder import ImageTextEncoder, load_small
from robot_rl.vision.in_domain import InDomainConfig, key, train_in_domain
from robot_rl.vision.open_clip_import import import_open_clip

Progress = Callable[..., object]


def in_domain_encoder(
    task: TaskCard, config: InDomainConfig, workers: int, progress: Callable[[int, str, str], Progress]
) -> ImageTextEncoder:
    """Load the task's own image-text model from the cache, or train it (about two minutes on 2 cores).

    `progress(total, description, unit)` is a context manager that yields `advance`.
    """
    folder = encoder_folder(task, config)
    if not (folder / "encoder.json").exists():
        from robot_rl.envs.random_states import random_states

        import_open_clip()  # says what is missing before minutes are spent
        with progress(config.frames, "drawing random states", "frames") as advance:
            images, levels = random_states(task, config.frames, config.seed, workers, advance)
        with progress(config.steps, "training the in-domain model", "steps") as advance:
            train_in_domain(task, images, levels, folder, config, advance)
    return load_small(folder)


def encoder_folder(task: TaskCard, config: InDomainConfig) -> Path:
    """Return where the cache keeps a task's own image-text model."""
    return cache_dir() / "encoders" / f"{task.name}-{key(task, config)}"


def one_camera(dataset: Dataset, camera: str | None) -> str:
    """Return the camera to judge by; raises BadInput without pictures and where there are several."""
    cameras = list(dataset.info.cameras)
    if not cameras:
        raise BadInput(
            f"{dataset.root}: has no pictures (no observation.images.* feature), so nothing can be judged"
        )
    if camera is None and len(cameras) == 1:
        return cameras[0]
    if camera not in cameras:
        raise BadInput(
            f"--camera: {'choose one' if camera is None else repr(camera)}; there are {', '.join(cameras)}"
        )
    return camera


def clip_labeler(
    encoder: ImageTextEncoder,
    goal: Goal,
    vectors: np.ndarray,
    look: Look | None = None,
    goal_image: np.ndarray | None = None,
) -> ClipLabeler:
    """Make the labeler `clip` over a dataset's vectors, by the card's words where there are some."""
    steps = ladders(goal.text, goal.opposite, goal.card.scales if goal.card else ())
    moments = look.strip.moments if look and look.strip else None
    return ClipLabeler(
        encoder, steps, embed=lambda indices: vectors[indices], moments=moments, goal_image=goal_image
    )


def oracle_labeler(
    dataset: Dataset, error_rate: float, seed: int, always_first: float = 0.0
) -> OracleLabeler:
    """Make the labeler `oracle` from the dataset's own reward; raises BadInput without one."""
    true = true_reward(dataset)
    if true is None:
        raise BadInput(f"{dataset.root}: has no reward of its own for the labeler 'oracle' to answer from")
    return OracleLabeler(true, error_rate, always_first, seed)


def fit(vectors: np.ndarray, asked: Asked, config: RewardConfig) -> RewardModel:
    """Fit the reward model to the training pairs; raises BadInput where too few have an answer."""
    pairs, p = asked.usable(held_out=False)
    if len(pairs) < 20:
        raise BadInput(
            f"only {len(pairs)} pairs have an answer ({asked.outcomes()}); a reward needs at least 20"
        )
    return RewardModel.fit(vectors, asked.look.moments(pairs), p, config)


def quality(
    dataset: Dataset, asked: Asked, model: RewardModel, vectors: np.ndarray, true: np.ndarray | None
) -> dict:
    """Measure a reward model on held-out pairs: agreement, calibration, spread, order in time, truth."""
    from robot_rl.report.statistics import expected_calibration_error, order_within_episodes

    pairs, p = asked.usable(held_out=True)
    said = model.probability(vectors, asked.look.moments(pairs))
    mean, std = model.reward(vectors)
    decided = p != 0.5
    right = ((said > 0.5) == (p > 0.5))[decided]
    order = order_within_episodes(mean, dataset.episode_index)
    found = {
        "held_out_pairs": len(pairs),
        "held_out_agreement": float(right.mean()) if decided.any() else None,
        "calibration_error": expected_calibration_error(np.maximum(said, 1 - said)[decided], right)
        if decided.any()
        else None,
        "undecided_share": float((np.abs(p - 0.5) < 0.1).mean()),  # of the labeler's answers, near one half
        "spread_over_signal": float(std.mean() / max(float(mean.std()), 1e-9)),
        "order_in_time": float(np.nanmean(order)) if np.isfinite(order).any() else None,
        "outcomes": asked.outcomes(),
        "held_out": {"pairs": pairs.tolist(), "p": p.tolist(), "said": np.round(said, 6).tolist()},
    }
    return {**found, **({} if true is None else accuracy(pairs, p, true))}


def accuracy(pairs: np.ndarray, p: np.ndarray, true: np.ndarray) -> dict:
    """Compare answers with a true reward (N,) where one is known: overall and on clear pairs.

    Clear is the third with the largest true gap; a tie counts one half. None where all frames are equal.
    """
    gap = (true[pairs[:, 1]] - true[pairs[:, 0]]).astype(np.float64)
    if not gap.any():
        return {"label_accuracy": None, "label_accuracy_clear": None, "accuracy_by_gap": []}
    found = accuracy_by_gap(p - 0.5, gap, bins=5)
    return {
        "label_accuracy": found.overall,
        "label_accuracy_clear": found.clear,
        "accuracy_by_gap": found.by_bin[found.count > 0].tolist(),
    }


def true_reward(dataset: Dataset) -> np.ndarray | None:
    """Return the reward (N,) that came with the data, not a learned one; None where there is none."""
    if "source.reward" in dataset.info.labels:
        return dataset.column("source.reward")
    learned = "reward.mean" in dataset.info.labels
    return dataset.column("next.reward") if dataset.info.has_rewards and not learned else None
