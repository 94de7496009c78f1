"""Writes D4RL HDF5: all steps one behind the other, with `terminals` and `timeouts`; no pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.data import layout
from robot_rl.data.exporters.common import next_rows, own_words
from robot_rl.data.exporters.hdf5_file import new_hdf5
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput


def write_d4rl(dataset: Dataset, path: Path, progress: Callable[[int, int], None]) -> list[str]:
    """Write the file `path`; BadInput where there are no rewards, which the format requires."""
    info = dataset.info
    if not info.has_rewards:
        raise BadInput(
            f"{dataset.root} has no rewards, which D4RL files need; give it some first: robot-rl label"
        )
    states, finals = dataset.column(layout.STATE), dataset.final_states()
    last = dataset.starts + dataset.lengths - 1
    following = next_rows(states, None)
    following[last] = states[last] if finals is None else np.where(np.isnan(finals), states[last], finals)
    unknown = range(len(dataset)) if finals is None else np.flatnonzero(np.isnan(finals).any(1)).tolist()
    terminals = np.zeros(len(states), bool)
    terminals[last] = dataset.terminated
    timeouts = np.zeros(len(states), bool)
    timeouts[last] = ~dataset.terminated
    infos = {f"infos/{name.removeprefix('infos.')}": name for name in (*info.labels, *info.vectors)}
    arrays = {
        "observations": states,
        "actions": dataset.column(layout.ACTION),
        "rewards": dataset.column(layout.REWARD),
        "terminals": terminals,
        "timeouts": timeouts,
        "next_observations": following,
    }
    arrays |= {key: dataset.column(_column(dataset, name)) for key, name in infos.items()}
    if info.has_success:
        infos["infos/success"] = layout.SUCCESS
        arrays["infos/success"] = dataset.column(layout.SUCCESS)
    own = own_words(dataset) | {
        "tasks": [dataset.episode(i).task for i in range(len(dataset))],
        "infos": infos,
        "final_unknown": list(unknown),
    }
    with new_hdf5(path, progress) as (file, progress):
        file.attrs["robot_rl"] = json.dumps(own)
        for key, values in arrays.items():
            file.create_dataset(key, data=values, compression="gzip", compression_opts=1)
    progress(len(dataset), len(dataset))
    notes = ["metadata of episodes is not written"]
    return [*notes, f"cameras {', '.join(info.cameras)} are left out"] if info.cameras else notes


def _column(dataset: Dataset, name: str) -> str:
    return layout.OBSERVATION + name if name in dataset.info.vectors else name
