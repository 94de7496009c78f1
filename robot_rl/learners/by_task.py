"""Several datasets as one: transitions that say of which task they are, for a policy that is told it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from robot_rl.data.replay import Transitions, transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.learners.describe import Limits, describe_policy
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.conditioning import PREFIX, View


def task_name(dataset: Dataset) -> str:
    """The task of a dataset: as its metadata says, else the name of its folder."""
    return str(dataset.info.metadata.get("task") or dataset.root.name)


def join_tasks(
    datasets: Sequence[Dataset], reward_column: str | None, limits: Limits = "auto"
) -> tuple[Transitions, PolicyDescription]:
    """The transitions of all datasets, and the description of a policy that is told the task.

    The state has every dataset's parts, 0 where a dataset has none of the kind, and `task.<name>` for each
    task; datasets of one task share it. The description's task is that of the first. Raises BadInput where
    robots, rates, actions or units differ, or a task's name is missing.
    """
    tasks = list(dict.fromkeys(task_name(one) for one in datasets))
    if len(tasks) < 2:
        raise BadInput(f"all datasets are of the task {tasks[0]}; --by-task needs at least two tasks")
    for other in datasets[1:]:
        _check_alike(datasets[0], other)
    actions = np.concatenate([one.column("action") for one in datasets])
    described = [describe_policy(one, actions, reward_column or "", limits) for one in datasets]
    units = _units(described)
    names = (*units, *(PREFIX + task for task in tasks))
    first = described[0]
    description = PolicyDescription(
        **{
            **first.model_dump(),
            "state_names": names,
            "state_units": (*units.values(), *["1"] * len(tasks)),
            "task_text": "; ".join(dict.fromkeys(one.task_text for one in described)),
            "task": tasks[0],
            "dataset_hash": hashlib.sha256("".join(d.dataset_hash for d in described).encode()).hexdigest(),
        }
    )
    parts, offset = [], 0
    for one in datasets:
        view = View(names, task_name(one), one.info.state_names)
        parts.append(_viewed(transitions_from_dataset(one, reward_column), view, offset))
        offset += one.info.total_frames
    return concatenate(parts), description


def concatenate(parts: Sequence[Transitions]) -> Transitions:
    """One after the other."""
    arrays = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Transitions)
        if f.name != "dropped"
    }
    return Transitions(**arrays, dropped=sum(part.dropped for part in parts))


def _viewed(transitions: Transitions, view: View, offset: int) -> Transitions:
    t = transitions
    states = {"observations": view(t.observations), "next_observations": view(t.next_observations)}
    return replace(t, **states, frame=t.frame + offset)


def _check_alike(first: Dataset, other: Dataset) -> None:
    for name in ("robot_type", "fps", "action_names"):
        was, now = getattr(first.info, name), getattr(other.info, name)
        if was != now:
            raise BadInput(f"{other.root}: {name} is {now}, that of {first.root} {was}; they must be alike")


def _units(described: Sequence[PolicyDescription]) -> dict[str, str]:
    """Part of the state -> its unit, over all datasets."""
    units: dict[str, str] = {}
    for one in described:
        if one.action_units != described[0].action_units:
            raise BadInput(
                f"task {one.task}: action_units are {one.action_units}, not {described[0].action_units}"
            )
        for name, unit in zip(one.state_names, one.state_units, strict=True):
            if units.setdefault(name, unit) != unit:
                raise BadInput(f"task {one.task}: unit of '{name}' is '{unit}', elsewhere '{units[name]}'")
    return units
