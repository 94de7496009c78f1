"""Which episodes to keep: by success, length, return, task, findings or number; and a split at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.data import layout
from robot_rl.data.findings import KINDS, inspect_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, nearest

_OF_PICTURES = {"dark", "frozen", "video"}


@dataclass(frozen=True)
class Criteria:
    """What an episode must fulfil, all of it, to be kept."""

    episodes: Sequence[int] | None = None
    success: bool | None = None  # whether the success flag is up at any step
    min_steps: int | None = None
    max_steps: int | None = None
    min_return: float | None = None  # undiscounted
    max_return: float | None = None
    task: str | None = None
    without: Sequence[str] = ()  # kinds of findings


def choose_episodes(dataset: Dataset, criteria: Criteria) -> tuple[list[int], dict[str, int]]:
    """The episodes to keep, and how many each criterion alone removes. Raises BadInput where none is left."""
    masks = _masks(dataset, criteria)
    if not masks:
        raise BadInput("filter: no criterion is given; name at least one, such as --success True")
    kept = np.flatnonzero(np.all(list(masks.values()), 0)).tolist()
    removed = {name: int((~mask).sum()) for name, mask in masks.items()}
    if not kept:
        told = ", ".join(f"{name} removes {n}" for name, n in removed.items())
        raise BadInput(f"filter: none of the {len(dataset)} episodes of {dataset.root} is left: {told}")
    return kept, removed


def _masks(dataset: Dataset, criteria: Criteria) -> dict[str, np.ndarray]:
    """(E,) bool by criterion: what to keep."""
    masks: dict[str, np.ndarray] = {}
    if criteria.episodes is not None:
        masks["episodes"] = np.isin(np.arange(len(dataset)), list(criteria.episodes))
    if criteria.success is not None:
        if not dataset.info.has_success:
            raise BadInput(
                f"success: {dataset.root} has no column '{layout.SUCCESS}'; choose by another criterion"
            )
        reached = np.logical_or.reduceat(dataset.column(layout.SUCCESS), dataset.starts)
        masks["success"] = reached == criteria.success
    _bounds(masks, "steps", dataset.lengths, criteria.min_steps, criteria.max_steps)
    if criteria.min_return is not None or criteria.max_return is not None:
        if not dataset.info.has_rewards:
            raise BadInput(f"return: {dataset.root} has no column '{layout.REWARD}'; label it first")
        rewards = dataset.column(layout.REWARD, finite=False).astype(np.float64)
        returns = np.add.reduceat(rewards, dataset.starts)
        _bounds(masks, "return", returns, criteria.min_return, criteria.max_return)
    if criteria.task is not None:
        if criteria.task not in dataset.info.tasks:
            known = nearest(criteria.task, dataset.info.tasks)
            raise BadInput(f"task: {dataset.root} has no task '{criteria.task}'.{known}")
        masks["task"] = np.array([dataset.task(i) == criteria.task for i in range(len(dataset))])
    if criteria.without:
        masks |= _found(dataset, criteria.without)
    return masks


def _bounds(
    masks: dict[str, np.ndarray], name: str, values: np.ndarray, low: float | None, high: float | None
) -> None:
    """Keep what lies in [low, high]; a return that is not finite lies nowhere."""
    if low is not None:
        masks[f"min {name}"] = values >= low
    if high is not None:
        masks[f"max {name}"] = values <= high


def _found(dataset: Dataset, kinds: Sequence[str]) -> dict[str, np.ndarray]:
    for kind in kinds:
        if kind not in KINDS:
            raise BadInput(f"without: there is no finding '{kind}'.{nearest(kind, KINDS)}")
    pictures = len(dataset) if _OF_PICTURES & set(kinds) else 0
    inspection = inspect_dataset(dataset, pictures)
    masks = {f"without {kind}": np.ones(len(dataset), bool) for kind in kinds}
    for finding in inspection.findings:
        if finding.kind in kinds:
            masks[f"without {finding.kind}"][list(finding.episodes)] = False
    return masks


def split_episodes(episodes: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Part the episodes at random: `fraction` of them, at least one, first, the others second."""
    if not 0 < fraction < 1:
        raise BadInput(f"split: the fraction must lie between 0 and 1, not {fraction}")
    if episodes < 2:
        raise BadInput("split: needs at least two episodes")
    count = int(np.clip(round(fraction * episodes), 1, episodes - 1))
    order = np.random.default_rng(seed).permutation(episodes)
    return sorted(order[:count].tolist()), sorted(order[count:].tolist())
