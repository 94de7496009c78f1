"""`robot-rl collect`: a dataset of chosen quality from simulation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_rl.cli.common import progress, save_config

if TYPE_CHECKING:
    from robot_rl.data.store import Dataset
    from robot_rl.specs.dataset_cards import DatasetCard, Expected
    from robot_rl.specs.tasks import TaskCard

INTERRUPTED = "closed episodes are kept; the same command continues"


@dataclass(frozen=True)
class Config:
    """Collect episodes of a task in simulation, the same for the same seed, on all cores."""

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    """Name of a task card in sim/tasks, such as drawer_open."""
    out: Path | None = None
    """Folder of the new dataset; default runs/data/TASK-QUALITY-SEED."""
    quality: str = "random"
    """random, medium, expert, mixed or replay: which dataset card, datasets/TASK_QUALITY.yaml, to follow."""
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
    randomise: bool = False
    """Draw light, colours, camera, masses, friction, latency and sensor noise anew for each episode, from the
    task card's ranges."""
    policy: Path | None = None
    """Folder of a checkpoint that plays instead of the card's scripted behaviours, in segments and with noise
    as the card says."""


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
    if config.policy:
        card = with_policy(card, task, config.policy)
    out = config.out or Path("runs/data") / f"{task.name}-{config.quality}-{config.seed}"
    plan = Plan(
        task,
        card,
        out,
        config.episodes or card.episodes,
        config.seed,
        config.images,
        config.randomise,
        config.policy,
    )
    with progress(plan.episodes, "collecting", "episodes") as advance:
        dataset = collect(plan, config.workers, advance)
    save_config(config, out.with_name(out.name + ".config.yaml"))
    known = None if config.policy else card.expected
    print(summary(dataset, known))


def with_policy(card: DatasetCard, task: TaskCard, run: Path) -> DatasetCard:
    """The card with the checkpoint as its only behaviour; raises BadInput for a policy of another task."""
    from robot_rl.cli.evaluate import check_fits
    from robot_rl.errors import BadInput
    from robot_rl.policies.checkpoint import load_spec

    check_fits(load_spec(run), task, run)
    if card.behaviour is None:
        raise BadInput(
            f"--policy: {card.name} is put together of other datasets; give --quality random, medium or "
            "expert, whose noise the policy then gets"
        )
    played = card.behaviour.model_copy(update={"mix": {"policy": 1.0}})
    return card.model_copy(update={"behaviour": played})


def summary(dataset: Dataset, expected: Expected | None) -> str:
    """Say what was collected, and where it differs from what the card expects (None: no expectation)."""
    import numpy as np

    reached = np.logical_or.reduceat(dataset.column("next.success"), dataset.starts).mean()
    returns = np.add.reduceat(dataset.column("next.reward").astype(float), dataset.starts)
    low, median, high = np.quantile(returns, [0.1, 0.5, 0.9])
    lines = [
        f"{dataset.root}: {len(dataset)} episodes, {dataset.info.total_frames} steps, {reached:.1%} succeed"
    ]
    if expected is not None:
        lines[0] += " (expected {:.0%} to {:.0%})".format(*expected.success_rate)
    lines.append(f"returns: median {median:.4g}, the middle 80 % from {low:.4g} to {high:.4g}")
    if expected is not None and expected.returns:
        lines[1] += " (median expected in {:g} to {:g})".format(*expected.returns)
    lines += [
        f"note: {note}; few episodes or a changed card differ"
        for note in _unexpected(expected, reached, median)
    ]
    return "\n".join(lines)


def _unexpected(expected: Expected | None, reached: float, median: float) -> list[str]:
    """What lies outside the card's ranges."""
    found = []
    if expected is None:
        return found
    if not expected.success_rate[0] <= reached <= expected.success_rate[1]:
        found.append("the share of successes is not what the dataset card expects")
    if expected.returns and not expected.returns[0] <= median <= expected.returns[1]:
        found.append("the median return is not what the dataset card expects")
    return found
