"""Writes what d3rlpy's `ReplayBuffer.load` reads: an HDF5 file with numbered arrays an episode.

An episode that did not terminate gets its final observation as one more step, which d3rlpy never learns from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.data.exporters.common import final_of
from robot_rl.data.exporters.hdf5_file import new_hdf5
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput

VERSION = "2.1"  # of d3rlpy's files
KEYS = ("observations", "actions", "rewards", "terminated")


def write_d3rlpy(dataset: Dataset, path: Path, progress: Callable[[int, int], None]) -> list[str]:
    """Write the file `path`; BadInput where there are no rewards, which d3rlpy requires."""
    if not dataset.info.has_rewards:
        raise BadInput(
            f"{dataset.root} has no rewards, which d3rlpy needs; give it some first: robot-rl label"
        )
    with new_hdf5(path, progress) as (file, progress):
        file.create_dataset("columns", data=list(KEYS))
        file.create_dataset("num_episodes", data=len(dataset))
        for index, episode in enumerate(dataset):
            states, actions = episode.observations["state"], episode.actions
            rewards, final = episode.rewards[:, None], final_of(episode, "state")
            if not episode.terminated and final is not None:
                states = np.concatenate([states, final[None]])
                actions = np.concatenate([actions, actions[-1:]])
                rewards = np.concatenate([rewards, np.zeros((1, 1), rewards.dtype)])
            for key, values in zip(KEYS, (states, actions, rewards, episode.terminated), strict=True):
                file.create_dataset(f"{key}_{index}", data=values)
            progress(index + 1, len(dataset))
        file.create_dataset("version", data=VERSION)
    return ["names, rate, task, pictures and labels are left out: the format has no place for them"]
