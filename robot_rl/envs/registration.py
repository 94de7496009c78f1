"""Makes every task card known to Gymnasium: `gymnasium.make("robot_rl.envs:robot_rl/drawer_open-v0")`."""

from __future__ import annotations

from typing import Any

from robot_rl.errors import need
from robot_rl.specs.tasks import load_task, task_names


def register() -> None:
    """Register the tasks that come with the project; nothing is imported or loaded until one is made."""
    gymnasium = need("gymnasium", "sim")
    entry = "robot_rl.envs.registration:make_by_name"
    for name in task_names():
        if f"robot_rl/{name}-v0" not in gymnasium.registry:
            gymnasium.register(f"robot_rl/{name}-v0", entry_point=entry, kwargs={"task": name})


def make_by_name(task: str, render_mode: str | None = None, size: int | None = None, **_: Any) -> Any:
    """Make the environment of a task's card, by its name."""
    from robot_rl.envs.make import make_task

    return make_task(load_task(task), render_mode, size)
