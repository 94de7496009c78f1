"""`robot-rl collect`: a dataset of chosen quality from simulation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_rl.cli.common import progress, save_config

INTERRUPTED = "closed episodes are kept; the same command continues"


@dataclass(frozen=True)
class Config:
    """Collect episodes of a task in simulation, the same for the same seed, on all cores."""

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    """Name of a task card in sim/tasks, such as drawer_open."""
    out: Path | None = None
    """Folder of the new dataset; default runs/data/TASK-QUALITY-SEED."""
    quality: str = "random"
    """random, medium or expert: which dataset card, datasets/TASK_QUALITY.yaml, to follow."""
    episodes: int | None = None
    """Number of episodes; default: as many as the dataset card says."""
    steps: int | None = None
    """Steps an episode, at the task's control rate; default: as the dataset card says."""
    seed: int = 0
    """Decides everything that is random."""
    workers: int = os.cpu_count() or 1
    """Processes at work at a time; the result does not depend on it."""
    images: bool = True
    """Render the task card's camera at every step."""


def main(config: Config) -> None:
    """Collect, and compare the share of successful episodes with what the card expects."""
    from robot_rl.envs.collect import Plan, collect
    from robot_rl.errors import BadInput
    from robot_rl.specs.dataset_cards import load_dataset_card
    from robot_rl.specs.tasks import load_task

    task = load_task(config.task)
    card = load_dataset_card(task.name, config.quality)
    for name, least in (("episodes", 1), ("steps", 2), ("workers", 1)):
        value = getattr(config, name)
        if value is not None and value < least:
            raise BadInput(f"--{name}: must be at least {least}, not {value}")
    card = card.model_copy(update={"steps": config.steps or card.steps})
    out = config.out or Path("runs/data") / f"{task.name}-{config.quality}-{config.seed}"
    plan = Plan(task, card, out, config.episodes or card.episodes, config.seed, config.images)
    with progress(plan.episodes, "collecting", "episodes") as advance:
        dataset = collect(plan, config.workers, advance)
    save_config(config, out.with_name(out.name + ".config.yaml"))
    print(summary(dataset, card.expected.success_rate))


def summary(dataset, expected: tuple[float, float]) -> str:
    """Say in one or two lines what was collected and whether it is what the card expects."""
    import numpy as np

    reached = np.logical_or.reduceat(dataset.column("next.success"), dataset.starts)
    size = f"{len(dataset)} episodes, {dataset.info.total_frames} steps"
    line = f"{dataset.root}: {size}, {reached.mean():.1%} succeed"
    low, high = expected
    if low <= reached.mean() <= high:
        return f"{line} (expected {low:.0%} to {high:.0%})"
    note = f"the dataset card expects {low:.0%} to {high:.0%}; few episodes or a changed card differ"
    return f"{line}\nnote: {note}"
