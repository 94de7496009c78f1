"""Makes a task's environment from its card; the card's family says which code does."""

from __future__ import annotations

from importlib import import_module

from robot_rl.envs.task_env import TaskEnv
from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import TaskCard

# family, the part of a card's `environment` before the colon -> the module whose `make` serves it
FAMILIES = {
    "metaworld": "robot_rl.envs.metaworld.task",
    "robosuite": "robot_rl.envs.robosuite.task",
    "go2": "robot_rl.envs.go2.task",
    "cloth": "robot_rl.envs.cloth.task",
}


def make_task(
    card: TaskCard, render_mode: str | None = None, size: int | None = None, randomise: bool = False
) -> TaskEnv:
    """Make a card's environment; `size` overrides the camera's pixels, `randomise` applies its ranges.

    Raises BadInput for an unknown family, or a card without ranges.
    """
    family = card.environment.partition(":")[0]
    if family not in FAMILIES:
        raise BadInput(f"{card.name}: environment family '{family}' is unknown.{nearest(family, FAMILIES)}")
    env = import_module(FAMILIES[family]).make(card, render_mode, size)
    if randomise:
        from robot_rl.envs.randomise import Randomiser

        env.randomiser = Randomiser(card)
    return env
