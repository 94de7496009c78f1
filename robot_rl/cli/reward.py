"""`robot-rl reward`: apply a reward model that was fitted before to another dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro


@dataclass(frozen=True)
class Config:
    """Apply a fitted reward model to a dataset and write a labeled version of it."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset; it is not changed."""
    model: Path
    """Folder of a labeling (from `robot-rl label`), with its reward model in reward/."""
    out: Path
    """Folder of the new, labeled dataset."""
    camera: str | None = None
    """Camera to judge by; needed where the dataset has several."""
    ray: str = ""
    """Do the work on a Ray cluster: its address (host:port, auto), or local for a process on each processor
    of this machine. The machines need a file system that they share, with the dataset under one path."""


def main(config: Config) -> None:
    """Embed the frames with the reward model's own encoder and write next.reward, reward.mean, reward.std."""
    from robot_rl.errors import need

    need("torch", "vlm")
    from robot_rl.cli import judging
    from robot_rl.cli.common import load_config, progress, table
    from robot_rl.cli.label import Config as LabelConfig
    from robot_rl.cli.labeling import load_encoder, resolve_goal
    from robot_rl.cli.spread import embed, on_cluster, rewards
    from robot_rl.data.store import Dataset
    from robot_rl.rewards.model import RewardModel
    from robot_rl.rewards.relabel import relabel_dataset

    made = load_config(LabelConfig, config.model / "config.yaml")
    dataset = Dataset.open(config.dataset)
    camera = judging.one_camera(dataset, config.camera)
    encoder = load_encoder(made.model, made.weights, resolve_goal(made.task, made.opposite, made.labeler))
    model = RewardModel.load(config.model / "reward", encoder.identity)
    with on_cluster(config.ray):
        with progress(dataset.info.total_frames, "embedding", "frames") as advance:
            vectors = embed(config.ray, dataset, camera, encoder, advance)
        mean, std = rewards(config.ray, model, vectors)
    relabel_dataset(dataset, (mean, std), config.out, {"reward_model": str(config.model), "task": made.task})
    rows = [("reward.mean", float(mean.min()), float(mean.mean()), float(mean.max())),
            ("reward.std", float(std.min()), float(std.mean()), float(std.max()))]  # fmt: skip
    print(table(("column", "min", "mean", "max"), rows))
    print(f"labeled dataset: {config.out}")


def picture_reward(labeling: Path) -> Callable[[Any], tuple[Any, Any]]:
    """A function from pictures (N, H, W, 3) uint8 to mean and std (N,) of a labeling's reward; BadInput."""
    from robot_rl.errors import BadInput, need

    if not (labeling / "reward").exists():
        raise BadInput(f"{labeling} is no labeling with a reward model in reward/; robot-rl label makes one")
    need("torch", "vlm")
    from robot_rl.cli.common import load_config
    from robot_rl.cli.label import Config as LabelConfig
    from robot_rl.cli.labeling import load_encoder, resolve_goal
    from robot_rl.rewards.model import RewardModel

    made = load_config(LabelConfig, labeling / "config.yaml")
    encoder = load_encoder(made.model, made.weights, resolve_goal(made.task, made.opposite, made.labeler))
    model = RewardModel.load(labeling / "reward", encoder.identity)
    return lambda pictures: model.reward(encoder.images(pictures))
