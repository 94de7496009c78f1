"""Fixtures that tests of several rooms share: a tiny synthetic dataset, a cache folder, a tiny judge."""

from __future__ import annotations

import os

# mujoco chooses its renderer when it is first imported, whoever in the tests imports it.
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.episode import Episode
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter

STATE_NAMES = [f"joint_{i}" for i in range(7)]
ACTION_NAMES = ["x", "y", "z", "grip"]


def picture(step: int, episode: int, size: int = 32) -> np.ndarray:
    """A (size, size, 3) uint8 picture of its own for each step and episode, smooth enough for video."""
    y, x = np.mgrid[:size, :size]
    blue = np.full_like(x, 10 * step + 30 * episode)
    return np.stack([x * 4 + step * 6, y * 4 + 20 * episode, blue], -1).astype(np.uint8)


def make_episode(index: int, steps: int = 12, size: int = 32, camera: str = "front") -> Episode:
    """A synthetic episode: 7-D state, 4-D action, one camera, rewards and success; every other terminates."""
    rng = np.random.default_rng(index)
    frames = np.stack([picture(t, index, size) for t in range(steps)])
    state = rng.normal(size=(steps + 1, 7)).astype(np.float32)
    return Episode(
        observations={"state": state[:-1], f"image.{camera}": frames},
        actions=rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
        task="open the drawer",
        fps=10.0,
        rewards=np.linspace(0, 1, steps, dtype=np.float32),
        success=np.arange(steps) == steps - 1,
        terminated=index % 2 == 1,
        final_observation={"state": state[-1], f"image.{camera}": picture(steps, index, size)},
        metadata={"seed": index},
    )


def make_writer(path: Path, **changes: object) -> DatasetWriter:
    """A writer that fits `make_episode`."""
    settings = {
        "fps": 10.0,
        "state_names": STATE_NAMES,
        "action_names": ACTION_NAMES,
        "cameras": {"front": (32, 32)},
        "robot_type": "toy",
        "metadata": {"note": "synthetic"},
    }
    return DatasetWriter(path, **{**settings, **changes})


def write_tiny(path: Path, episodes: int = 4, **changes: object) -> Dataset:
    """Write `episodes` synthetic episodes of 12 steps to `path` and open them."""
    writer = make_writer(path, **changes)
    for index in range(episodes):
        writer.write(index, make_episode(index))
    writer.close()
    return Dataset.open(path)


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Dataset:
    """4 episodes of 12 steps: 7-D state, 4-D action, a 32x32 camera "front", rewards and success."""
    return write_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own, for child processes too: no test touches the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBOT_RL_CACHE", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield folder


@pytest.fixture(scope="session")
def tiny_judge(cache: Path) -> Path:
    """The folder of a hardly trained model of drawer_open, where commands look for the full one."""
    pytest.importorskip("metaworld")
    from robot_rl.cli.judging import encoder_folder
    from robot_rl.envs.random_states import random_states
    from robot_rl.specs.tasks import load_task
    from robot_rl.vision.in_domain import InDomainConfig, train_in_domain

    task = load_task("drawer_open")
    images, levels = random_states(task, 60, seed=1, workers=1)
    folder = encoder_folder(task, InDomainConfig())
    # Enough for vectors that differ from picture to picture; what they mean is left to chance.
    tiny = InDomainConfig(frames=60, steps=40, batch_size=8, texts=32, learning_rate=3e-3)
    train_in_domain(task, images, levels, folder, tiny)
    return folder


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of drawer_open as `robot-rl collect` makes it: 4 episodes of 15 steps. Do not write to it."""
    pytest.importorskip("metaworld")
    from robot_rl.envs.collect import collect
    from tests.envs.plans import make_plan

    path = tmp_path_factory.mktemp("collected") / "data"
    return collect(make_plan(path, episodes=4, steps=15), workers=1).root
