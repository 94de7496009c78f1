"""What a dataset says about a policy that is learned from it: names, units, rate, task, action limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.image_input import ImageInput

Limits = Literal["auto", "data", "unit"]
_WIDEN, _WIDEN_AT_LEAST = 0.01, 1e-3  # of the range, and in the action's unit


def describe_policy(
    dataset: Dataset,
    actions: np.ndarray,
    reward_source: str = "",
    limits: Limits = "auto",
    *,
    parts: Sequence[str] | None = None,
    images: Sequence[ImageInput] = (),
) -> PolicyDescription:
    """Describe a policy learned from `actions` (N, A) of a dataset.

    It sees `parts` of the state, None for all of it, and `images`.
    Units come from the dataset's metadata (state_units, action_units), "" where it has none. Action limits
    are ±1 ("unit"), or the actions' smallest and largest values widened by 1 % of the range ("data");
    "auto" is "unit" where the dataset says that every action has the unit "1", as in simulated tasks.
    """
    info = dataset.info
    action_units = _units(dataset, "action_units", info.action_names)
    if limits == "auto":
        limits = "unit" if all(unit == "1" for unit in action_units) else "data"
    if limits == "unit":
        low, high = -np.ones(actions.shape[1]), np.ones(actions.shape[1])
    else:
        low, high = data_limits(actions)
    units = dict(zip(info.state_names, _units(dataset, "state_units", info.state_names), strict=True))
    names = info.state_names if parts is None else tuple(parts)
    return PolicyDescription(
        state_names=names,
        state_units=tuple(units[name] for name in names),
        action_names=info.action_names,
        action_units=action_units,
        action_low=low.tolist(),
        action_high=high.tolist(),
        fps=info.fps,
        robot=info.robot_type,
        task=str(info.metadata.get("task", "")),
        task_text="; ".join(info.tasks),
        dataset_hash=dataset.content_hash,
        reward_source=reward_source,
        images=tuple(images),
    )


def data_limits(actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value (A,) of actions (N, A), widened by 1 % of the range, at least by 1e-3."""
    low, high = actions.min(0).astype(np.float64), actions.max(0).astype(np.float64)
    widen = np.maximum(_WIDEN * (high - low), _WIDEN_AT_LEAST)
    return low - widen, high + widen


def _units(dataset: Dataset, key: str, names: Sequence[str]) -> tuple[str, ...]:
    """Units from the metadata; raises BadInput where there are not as many as names."""
    units = dataset.info.metadata.get(key)
    if units is None:
        return ("",) * len(names)
    if not isinstance(units, list) or len(units) != len(names):
        raise BadInput(f"{dataset.root}: metadata {key} is {units!r}; it must list {len(names)} units")
    return tuple(map(str, units))
