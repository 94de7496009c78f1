"""Which tasks the tests that run over all of them can run here."""

from __future__ import annotations

import importlib.util

import pytest

from robot_rl.specs.tasks import load_task, task_names

# robosuite takes 20 ms a step: each of its scenes runs with one robot here, each robot in one scene at least.
_OTHER_ROBOT = ("lift_ur5e", "hinged_door_panda", "nut_on_peg_ur5e")


def runnable_tasks() -> list:
    """All tasks as parameters of a test; those whose package is not installed are skipped and say so."""
    return [_runnable(name) for name in task_names()]


def _runnable(name: str) -> object:
    family = load_task(name).environment.partition(":")[0]
    package = {"metaworld": "metaworld", "robosuite": "robosuite"}.get(family, "mujoco")
    if name in _OTHER_ROBOT:
        return pytest.param(name, marks=pytest.mark.skip(reason="the same scene runs with another robot"))
    missing = importlib.util.find_spec(package) is None
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"{package} is not installed"))
