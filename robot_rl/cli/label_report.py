"""The parts of a page that show a labeling: how good the answers are, and the learned reward by picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.report import figures
from robot_rl.report.filmstrip import filmstrip
from robot_rl.report.page import Callout, Figure, Section, Table, Text
from robot_rl.report.statistics import accuracy_by_quantile, order_within_episodes
from robot_rl.report.timeline import frame_steps

_ENOUGH = 10  # decided pairs, for a picture of accuracy by gap
MEASURES = {
    "held_out_agreement": "reward model repeats the labeler on held-out pairs (not: the labeler is right)",
    "calibration_error": "expected calibration error",
    "undecided_share": "share of labels within 0.1 of one half",
    "spread_over_signal": "ensemble's spread over the reward's own",
    "order_in_time": "rank correlation of reward with time in an episode, mean",
    "label_accuracy": "labels agree with the true reward, on held-out pairs drawn as for training",
    "label_accuracy_clear": "the same on clear pairs (third with the largest gap)",
}


def labels_section(found: Mapping[str, Any], labeled: Dataset, goal: str) -> Section:
    """Show how good the answers are: by the true reward where one is known, and by held-out agreement."""
    held = found["held_out"]
    pairs, p, said = np.array(held["pairs"]), np.array(held["p"]), np.array(held["said"])
    outcomes = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in found["outcomes"].items())
    rows = [[told, _number(found[name])] for name, told in MEASURES.items() if name in found]
    blocks: list[Any] = [
        Text(
            f"Asked about pairs of frames: which is nearer to “{goal}”? Answers: {outcomes}. The figures "
            "below are from held-out episodes, which no training pair touches."
        ),
        Table(["Measure", "Value"], rows),
    ]
    decided = p != 0.5
    if found.get("label_accuracy") is not None and decided.sum() >= _ENOUGH:
        blocks.append(_by_gap(labeled.column("source.reward"), pairs, p))
    if decided.any():
        agree, sure = ((said > 0.5) == (p > 0.5))[decided], np.maximum(said, 1 - said)[decided]
        caption = (
            "The reward model's confidence against its agreement with held-out labels; on the dashed line "
            "confidence is right."
        )
        blocks.append(Figure(figures.reliability(sure, agree), caption, title="Reliability", half=True))
    return Section("Labels", *blocks)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _by_gap(true: np.ndarray, pairs: np.ndarray, p: np.ndarray) -> Figure:
    gap = true[pairs[:, 1]] - true[pairs[:, 0]]
    keep = (gap != 0) & (p != 0.5)
    bins = accuracy_by_quantile(np.abs(gap)[keep], ((p > 0.5) == (gap > 0))[keep], 5)
    caption = (
        "Labels against the true reward, which was not used in labeling, by how far apart the frames are."
    )
    image = figures.accuracy_by_gap(bins.edges, bins.accuracy, bins.count, label="gap in true reward")
    return Figure(image, caption, title="Label accuracy by gap", half=True)


def reward_section(labeled: Dataset, camera: str) -> Section:
    """Show the learned reward over the pictures of a good and a bad episode, and over all frames."""
    mean = labeled.column("reward.mean")
    order = order_within_episodes(mean, labeled.episode_index)
    strips = [
        Figure(
            strip(labeled, camera, index),
            f"Episode {index}: {what}. The band is one standard deviation of "
            "the ensemble; a dashed line is the true reward where the dataset has one.",
            title=title,
        )
        for index, what, title in _good_and_bad(labeled, mean)
    ]
    return Section(
        "Learned reward",
        *strips,
        *_order(order),
        Figure(
            figures.histogram(mean, "learned reward"),
            "All frames of the dataset, in standard deviations.",
            title="Distribution",
            half=True,
        ),
    )


def _order(order: np.ndarray) -> list[Figure | Callout]:
    """Show each episode's rank correlation with time; a reward that is the same everywhere has none."""
    if not np.isfinite(order).any():
        return [Callout("warn", "The learned reward is constant in every episode: labels taught it nothing.")]
    caption = (
        "Rank correlation of reward with time in each episode. Undirected play spreads around zero; "
        "demonstrations should lie near one."
    )
    return [Figure(figures.progress_order(order), caption, title="Order in time", half=True)]


def _good_and_bad(labeled: Dataset, mean: np.ndarray) -> list[tuple[int, str, str]]:
    """Choose by success and the learned reward's peak: (episode, what it does, title) twice."""
    peak = np.maximum.reduceat(mean, labeled.starts)
    success = np.zeros(len(labeled), bool)
    if labeled.info.has_success:
        success = np.logical_or.reduceat(labeled.column("next.success"), labeled.starts)
    good = int(np.argmax(np.where(success, peak, -np.inf))) if success.any() else int(np.argmax(peak))
    bad = int(np.argmin(np.where(success, np.inf, peak))) if not success.all() else int(np.argmin(peak))
    reaches = "reaches the goal" if success[good] else "the highest learned reward"
    return [(good, reaches, "A good episode"), (bad, "the lowest peak of learned reward", "A bad episode")]


def strip(labeled: Dataset, camera: str, index: int) -> str:
    """Draw one episode: eight frames over the learned reward."""
    episode = labeled.episode(index)
    steps = frame_steps(len(episode), 8)
    frames = np.asarray(episode.observations[f"image.{camera}"][steps])
    return filmstrip(
        frames,
        steps / episode.fps,
        episode.labels["reward.mean"],
        episode.labels["reward.std"],
        true=episode.labels.get("source.reward"),
        success=episode.success,
        title="",
        fps=episode.fps,
    )
