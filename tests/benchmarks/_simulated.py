"""Which tasks the benchmarks of simulation and rendering take, and how they are run on one core."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import load_task, task_names

PACKAGES = {"metaworld": "metaworld", "robosuite": "robosuite"}  # what a family needs beyond mujoco
ROOT = Path(__file__).resolve().parents[2]


def family(task: str) -> str:
    """The family of a task's environment."""
    return load_task(task).environment.partition(":")[0]


def chosen(names: list[str], each: int | None) -> list[str]:
    """The named tasks, or the first `each` of each family whose package is installed (all for None)."""
    known = task_names()
    for name in names:
        if name not in known:
            raise BadInput(f"no task '{name}'.{nearest(name, known)}")
    if names:
        return names
    groups: dict[str, list[str]] = {}
    for name in known:
        if importlib.util.find_spec(PACKAGES.get(family(name), "mujoco")):
            groups.setdefault(family(name), []).append(name)
    return [name for group in groups.values() for name in group[:each]]


def one_core() -> None:
    """Keep this process, and what it starts, to one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def measured(script: str, *args: object, **environment: str | None) -> dict[str, float]:
    """What the script prints as JSON in a process of its own; a variable given as None is left out."""
    merged = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    variables = {name: value for name, value in merged.items() if value is not None}
    command = [sys.executable, script, "--measure", *map(str, args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=variables)
    return json.loads(done.stdout.splitlines()[-1])
