"""Small files in the formats of others, written by hand as those libraries write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.conftest import picture

STEPS = 6


def robomimic(path: Path, pictures: bool = True, **changes: Any) -> Path:
    """Two demonstrations of 6 steps; `changes` replaces arrays of demo_1 (obs__eef=...), None drops."""
    env = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20, "robots": ["Panda"]}}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(env)
        for index in range(2):
            arrays = demo(index, pictures)
            if index == 1:
                arrays |= {key.replace("__", "/"): value for key, value in changes.items()}
            group = data.create_group(f"demo_{index}")
            group.attrs["num_samples"], group.attrs["model_file"] = STEPS, "<mujoco/>"
            for key, value in arrays.items():
                if value is not None:
                    group[key] = value
        file["mask/train"] = np.array(["demo_0"], "S")
    return path


def demo(index: int, pictures: bool) -> dict[str, np.ndarray]:
    """Arrays of one demonstration."""
    rng = np.random.default_rng(index)
    eef, gripper = rng.normal(size=(STEPS + 1, 3)), rng.normal(size=(STEPS + 1, 2))
    frames = np.stack([picture(t, index) for t in range(STEPS + 1)])
    arrays = {
        "actions": rng.uniform(-1, 1, (STEPS, 4)),
        "rewards": (np.arange(STEPS) == STEPS - 1).astype(float),
        "dones": (np.arange(STEPS) == STEPS - 1).astype(int) * index,
        "states": rng.normal(size=(STEPS, 5)),
        "obs/eef": eef[:-1],
        "next_obs/eef": eef[1:],
        "obs/gripper": gripper[:-1],
        "next_obs/gripper": gripper[1:],
    }
    if pictures:
        arrays |= {"obs/agentview_image": frames[:-1], "next_obs/agentview_image": frames[1:]}
    return arrays


SPACE = {
    "type": "Dict",
    "subspaces": {
        "arm": {"type": "Box", "dtype": "float64", "shape": [3], "low": [-1.0] * 3, "high": [1.0] * 3},
        "grip": {"type": "Discrete", "dtype": "int64", "start": 0, "n": 4},
        "goal": {
            "type": "Tuple",
            "subspaces": [{"type": "Box", "dtype": "float32", "shape": [2], "low": [0, 0], "high": [1, 1]}],
        },
        "cam": {"type": "Box", "dtype": "uint8", "shape": [32, 32, 3], "low": 0, "high": 255},
        "words": {"type": "Text", "max_length": 9, "min_length": 1, "charset": "ab"},
    },
}
ACTIONS = {"type": "Box", "dtype": "float32", "shape": [2], "low": [-1.0, -1.0], "high": [1.0, 1.0]}


def minari_arrays(index: int) -> dict[str, np.ndarray]:
    """Arrays of one Minari episode; observations have one row more than actions."""
    rng = np.random.default_rng(index)
    end = np.arange(STEPS) == STEPS - 1
    return {
        "observations/arm": rng.normal(size=(STEPS + 1, 3)),
        "observations/grip": np.arange(STEPS + 1) % 4,
        "observations/goal/_index_0": rng.uniform(size=(STEPS + 1, 2)).astype(np.float32),
        "observations/cam": np.stack([picture(t, index) for t in range(STEPS + 1)]),
        "actions": rng.uniform(-1, 1, (STEPS, 2)).astype(np.float32),
        "rewards": np.arange(STEPS, dtype=np.float64),
        "terminations": end & bool(index),
        "truncations": end & (not index),
        "infos/success": np.arange(STEPS + 1) == STEPS,
    }


def minari_metadata(root: Path, **changes: Any) -> None:
    """metadata.json of the data set at `root`."""
    meta = {
        "total_episodes": 2,
        "total_steps": 2 * STEPS,
        "data_format": "hdf5",
        "observation_space": json.dumps(SPACE),
        "action_space": json.dumps(ACTIONS),
        "dataset_id": "toy/reach-v0",
        "env_spec": json.dumps({"id": "Reach-v0"}),
        **changes,
    }
    (root / "data").mkdir(parents=True, exist_ok=True)
    (root / "data/metadata.json").write_text(json.dumps(meta))


def minari(root: Path, **changes: Any) -> Path:
    """Two episodes in HDF5; `changes` replaces arrays of episode_1 by their path, None drops."""
    minari_metadata(root)
    with h5py.File(root / "data/main_data.hdf5", "w") as file:
        for index in range(2):
            arrays = minari_arrays(index)
            if index == 1:
                arrays |= {key.replace("__", "/"): value for key, value in changes.items()}
            group = file.create_group(f"episode_{index}")
            group.attrs["id"], group.attrs["seed"] = index, 7 + index
            for key, value in arrays.items():
                if value is not None:
                    group[key] = value
    return root
