"""Writes a Minari data set (HDF5) that `minari.MinariDataset` opens: a folder with `data/` in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robot_rl.data.episode import IMAGE, Episode
from robot_rl.data.exporters.common import camera_keys, final_of, own_words, state_parts, write_pictures
from robot_rl.data.exporters.hdf5_file import new_hdf5
from robot_rl.data.store import Dataset

MINARI = "0.5.4"  # the version whose layout this is


def write_minari(dataset: Dataset, path: Path, progress: Callable[[int, int], None]) -> list[str]:
    """Write the folder `path`; returns notes on what the format has no place for."""
    folder = path / "data"
    folder.mkdir(parents=True)
    with new_hdf5(folder / "main_data.hdf5", progress, track_order=True) as (file, progress):
        for index, episode in enumerate(dataset):
            _write_episode(file.create_group(f"episode_{index}"), index, episode, dataset)
            progress(index + 1, len(dataset))
    size = (folder / "main_data.hdf5").stat().st_size / 1e6
    meta = _metadata(dataset) | {"dataset_size": round(size, 1)}
    (folder / "metadata.json").write_text(json.dumps(meta), encoding="utf-8")
    notes = [] if dataset.info.has_rewards else ["there are no rewards; zeros stand in for them"]
    return [*notes, "labels and further vectors are left out"]


def _metadata(dataset: Dataset) -> dict[str, Any]:
    info = dataset.info
    kept = info.metadata.get("source")
    kept = kept.get("metadata") if isinstance(kept, dict) and kept.get("format") == "Minari" else None
    parts = [(key, _box(shape, "float32", None)) for key, shape, _ in state_parts(dataset, "state")]
    if "state" in (info.metadata.get("placeholders") or ()):
        parts = []
    cameras = [
        (key, _box((*info.cameras[name], 3), "uint8", (0, 255))) for name, key in camera_keys(dataset).items()
    ]
    return {
        **(kept or {"dataset_id": f"robot_rl/{dataset.root.resolve().name}-v0"}),
        "minari_version": MINARI,
        "total_episodes": len(dataset),
        "total_steps": info.total_frames,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps(_space([*parts, *cameras])),
        "action_space": json.dumps(_box((len(info.action_names),), "float32", None)),
        "robot_rl": own_words(dataset) | {"tasks": list(info.tasks), "rewards": info.has_rewards},
    }


def _box(shape: tuple[int, ...], dtype: str, limits: tuple[int, int] | None) -> dict[str, Any]:
    low, high = limits or (-np.inf, np.inf)
    return {
        "type": "Box",
        "dtype": dtype,
        "shape": list(shape),
        "low": np.full(shape, low).tolist(),
        "high": np.full(shape, high).tolist(),
    }


def _space(leaves: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """A Dict space of leaves by path ("a/b"), or the leaf itself where there is one alone."""
    if len(leaves) == 1 and leaves[0][0] in ("", "state", "observations"):
        return leaves[0][1]
    tree: dict[str, Any] = {}
    for path, leaf in leaves:
        *folders, name = path.split("/")
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
        here[name] = leaf
    return _nested(tree)


def _nested(tree: dict[str, Any]) -> dict[str, Any]:
    if "type" in tree and isinstance(tree["type"], str):
        return tree
    inner = {name: _nested(item) for name, item in tree.items()}
    if inner and all(name.startswith("_index_") for name in inner):
        return {"type": "Tuple", "subspaces": [inner[f"_index_{i}"] for i in range(len(inner))]}
    return {"type": "Dict", "subspaces": inner}


def _write_episode(group: h5py.Group, index: int, episode: Episode, dataset: Dataset) -> None:
    steps = len(episode)
    group.attrs["id"], group.attrs["total_steps"], group.attrs["task"] = index, steps, episode.task
    if isinstance(episode.metadata.get("seed"), int):
        group.attrs["seed"] = episode.metadata["seed"]
    state, final = episode.observations["state"], final_of(episode, "state")
    # Where what followed is unknown, the last observation stands in for it, and this says so.
    group.attrs["final_observation"] = final is not None
    rows = np.concatenate([state, (state[-1] if final is None else final)[None]])
    parts = state_parts(dataset, "state")
    cameras = camera_keys(dataset)
    if "state" in (dataset.info.metadata.get("placeholders") or ()):
        parts = []
    alone = len(parts) + len(cameras) == 1 and (not parts or parts[0][0] in ("", "state", "observations"))
    for key, shape, columns in parts:
        group["observations" if alone else f"observations/{key}"] = rows[:, columns].reshape(-1, *shape)
    for name, key in cameras.items():
        frames, last = episode.observations[IMAGE + name], final_of(episode, IMAGE + name)
        write_pictures(group, f"observations/{key}" if key else "observations", frames,
                       frames[-1] if last is None else last)  # fmt: skip
    end = np.arange(steps) == steps - 1
    group["actions"] = episode.actions
    group["rewards"] = np.zeros(steps, np.float32) if episode.rewards is None else episode.rewards
    group["terminations"], group["truncations"] = end & episode.terminated, end & (not episode.terminated)
    if episode.success is not None:
        group["infos/success"] = np.concatenate([[False], episode.success])
