"""Small plans for collecting data."""

from __future__ import annotations

from pathlib import Path

from robot_rl.envs.collect import Plan
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task


def make_plan(path: Path, episodes: int = 6, steps: int = 10, seed: int = 3, images: bool = True) -> Plan:
    """A plan of drawer_open in random quality, cut to a few short episodes."""
    card = load_dataset_card("drawer_open", "random").model_copy(update={"steps": steps})
    return Plan(load_task("drawer_open"), card, path, episodes, seed, images)
