"""A policy that tests of several files play."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.policies.checkpoint import PolicySpec, save_checkpoint
from robot_rl.specs.tasks import load_task
from tests.policies.helpers import make_spec

TASK = load_task("drawer_open")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of random weights for drawer_open."""
    rng = np.random.default_rng(0)
    spec: PolicySpec = make_spec(
        state_names=[part.name for part in TASK.state],
        state_units=[part.unit for part in TASK.state],
        state_mean=[0.0] * 7,
        state_std=[0.1] * 7,
        action_names=[part.name for part in TASK.actions],
        action_units=["1"] * 4,
        action_low=[-1.0] * 4,
        action_high=[1.0] * 4,
        task=TASK.name,
        hidden=[8],
    )
    weights = {name: rng.normal(size=shape) for name, shape in spec.weight_shapes().items()}
    return save_checkpoint(tmp_path_factory.mktemp("policy"), weights, spec)
