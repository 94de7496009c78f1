"""Writes robomimic HDF5: a group `data/demo_<n>` an episode, with `obs`, `next_obs`, actions and rewards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from robot_rl.data.episode import IMAGE, Episode
from robot_rl.data.exporters.common import (
    camera_keys,
    final_of,
    next_rows,
    own_words,
    state_parts,
    write_pictures,
)  # fmt: skip
from robot_rl.data.exporters.hdf5_file import new_hdf5
from robot_rl.data.store import Dataset


def write_robomimic(dataset: Dataset, path: Path, progress: Callable[[int, int], None]) -> list[str]:
    """Write the file `path`; returns notes on what the format has no place for."""
    source = dataset.info.metadata.get("source")
    env = source.get("env_args") if isinstance(source, dict) else None
    env = env or {"env_name": "unknown", "type": 0, "env_kwargs": {"control_freq": dataset.info.fps}}
    parts = state_parts(dataset, "state")
    own = own_words(dataset) | {
        "state_parts": [{"key": key, "shape": list(shape)} for key, shape, _ in parts],
        "vectors": list(dataset.info.vectors),
        "labels": list(dataset.info.labels),
    }
    masks: dict[str, list[str]] = {}
    with new_hdf5(path, progress) as (file, progress):
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(env)
        data.attrs["robot_rl"] = json.dumps(own)
        data.attrs["total"] = dataset.info.total_frames
        for index, episode in enumerate(dataset):
            name = f"demo_{index}"
            _write_demo(data.create_group(name), episode, dataset)
            for key in episode.metadata.get("filter_keys") or ():
                masks.setdefault(key, []).append(name)
            progress(index + 1, len(dataset))
        for key, names in masks.items():
            file[f"mask/{key}"] = np.array(names, "S")
    lost = [] if dataset.info.has_rewards else ["there are no rewards; robomimic's loaders ask for them"]
    return [*lost, "metadata of episodes is not written"]


def _write_demo(group: h5py.Group, episode: Episode, dataset: Dataset) -> None:
    group.attrs["num_samples"], group.attrs["task"] = len(episode), episode.task
    group["actions"] = episode.actions
    done = np.zeros(len(episode), np.int64)
    done[-1] = episode.terminated
    group["dones"] = done
    if episode.rewards is not None:
        group["rewards"] = episode.rewards
    if episode.success is not None:
        group["success"] = episode.success
    for name, values in episode.labels.items():
        group[f"labels/{name}"] = values
    now, after = group.create_group("obs"), group.create_group("next_obs")
    state, final = episode.observations["state"], final_of(episode, "state")
    # Where what followed is unknown, the last observation stands in for it, and this says so.
    group.attrs["final_observation"] = final is not None
    for key, shape, columns in state_parts(dataset, "state"):
        home = (group, None) if key == "states" else (now, after)
        home[0][key] = state[:, columns].reshape(-1, *shape)
        if home[1] is not None:
            home[1][key] = next_rows(state, final)[:, columns].reshape(-1, *shape)
    for name in dataset.info.vectors:
        (group if name == "states" else now)[name] = episode.observations[name]
    for name, key in camera_keys(dataset).items():
        frames, last = episode.observations[IMAGE + name], final_of(episode, IMAGE + name)
        key = key.removeprefix("obs/")
        write_pictures(now, key, frames)
        if last is not None:
            write_pictures(after, key, frames, last, skip=1)
