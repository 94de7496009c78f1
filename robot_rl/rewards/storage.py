"""A reward model on disk: weights.safetensors and reward.json in a folder of its own, written at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from robot_rl import __version__
from robot_rl.data import layout
from robot_rl.errors import BadInput, nearest
from robot_rl.rewards.config import FIELDS, RewardConfig

FORMAT_VERSION = 1
WEIGHTS, META = "weights.safetensors", "reward.json"
ARRAYS = ("feature_mean", "feature_std", "reward_mean", "reward_std", "noise_rate")
HEAD = "head."
_WHAT = "reward model"
Loaded = tuple[dict[str, np.ndarray], RewardConfig, dict[str, int], dict[str, Any]]


def write_model(
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    config: RewardConfig,
    counts: Mapping[str, int],
    identity: Mapping[str, Any],
) -> None:
    """Write a reward model to `folder`, replacing an older one; BadInput if it holds something else."""
    content = {
        "identity": dict(identity),
        "config": asdict(config),
        "features": len(arrays["feature_mean"]),
        "counts": dict(counts),
        "noise_rate": arrays["noise_rate"],
    }
    write_folder(folder, META, _WHAT, arrays, content)


def write_folder(
    folder: Path, meta: str, what: str, arrays: Mapping[str, np.ndarray], content: Mapping[str, Any]
) -> None:
    """Write arrays and a JSON file `meta` under another name first: there whole or not at all.

    An older one there is replaced; raises BadInput if `folder` holds something else than a `what`.
    """
    folder = Path(os.path.abspath(folder))
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / meta).is_file())):
        raise BadInput(f"{folder} holds something else than a {what}; choose another folder")
    building = layout.building_folder(folder)
    try:
        building.mkdir()
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, building / WEIGHTS)
        versions = {"format_version": FORMAT_VERSION, "robot_rl": __version__}
        layout.write_json({**versions, **content}, building / meta)
        layout.sync_tree(building)
        _replace(folder, building)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    layout.sync(folder.parent)


def _replace(folder: Path, building: Path) -> None:
    """Rename `building` to `folder`; what is there steps aside first, as a rename replaces no full folder."""
    aside = building.with_name(building.name + ".old")
    if folder.exists():
        os.rename(folder, aside)
    os.rename(building, folder)
    shutil.rmtree(aside, ignore_errors=True)


def read_model(folder: Path, identity: Mapping[str, Any] | None) -> Loaded:
    """Read arrays, config, counts and identity of the model in `folder`; raises BadInput by field."""
    where = folder / META
    content = read_meta(where, _WHAT)
    for name, kind in (("identity", dict), ("config", dict), ("features", int), ("counts", dict)):
        if not isinstance(content.get(name), kind):
            raise BadInput(f"{where}: {name} must be of type {kind.__name__}, not {content.get(name)!r}")
    check_identity(content["identity"], identity, where)
    for name in content["config"]:
        if name not in FIELDS:
            raise BadInput(f"{where}: config.{name}: unknown field.{nearest(name, FIELDS)}")
    try:
        config = RewardConfig(**content["config"])
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error
    arrays = read_arrays(folder, META, _WHAT, _shapes(config, content["features"]))
    return arrays, config, content["counts"], content["identity"]


def read_meta(path: Path, what: str) -> dict[str, Any]:
    """Read the JSON file of a `what`; raises BadInput where it is none or of a newer version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read; {path.parent} is not a {what}'s folder") from error
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error}); fit the {what} again") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}; it must hold a JSON object")
    version = content.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise BadInput(
            f"{path}: format_version is {version!r}, but this version reads up to {FORMAT_VERSION}; "
            "upgrade robot-rl"
        )
    return content


def check_identity(saved: Mapping[str, Any], wanted: Mapping[str, Any] | None, where: Path) -> None:
    """Hold the encoder that the model was fitted with to the one at hand; raises BadInput."""
    # Through JSON, as what was saved: there a tuple is a list.
    wanted = saved if wanted is None else json.loads(layout.to_json(dict(wanted)))
    for name in sorted({*saved, *wanted}):
        if saved.get(name) != wanted.get(name):
            raise BadInput(
                f"{where}: identity.{name} is {saved.get(name)!r}, but the features at hand come with "
                f"{wanted.get(name)!r}; use the encoder that the model was fitted with, or fit again"
            )


def read_arrays(
    folder: Path, meta: str, what: str, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Read the weights and hold each one's name, shape and values to what `meta` asks for."""
    where = folder / WEIGHTS
    try:
        # Read at once, not mapped: the file may be replaced while the model is in use.
        arrays = {name: value.copy() for name, value in load(where.read_bytes()).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise BadInput(f"{where} cannot be read ({error}); fit the {what} again") from error
    for name in sorted({*shapes, *arrays}):
        found = arrays[name].shape if name in arrays else "missing"
        if found != shapes.get(name):
            raise BadInput(f"{where}: '{name}' is {found}, but {meta} asks for {shapes.get(name, 'none')}")
        if arrays[name].dtype != np.float32 or not np.isfinite(arrays[name]).all():
            raise BadInput(f"{where}: '{name}' must be finite float32; fit the {what} again")
    return arrays


def _shapes(config: RewardConfig, size: int) -> dict[str, tuple[int, ...]]:
    """Shape of every array of a model with this config on features of `size` numbers."""
    named = {name: (size,) if name.startswith("feature_") else (config.members,) for name in ARRAYS}
    return named | head_shapes(config.members, (size, *config.hidden, 1))


def head_shapes(members: int, sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Shape of every array of `members` heads with these layer `sizes`, by its name in the file."""
    layers = list(zip(sizes[:-1], sizes[1:], strict=True))
    shapes = {f"{HEAD}weight_{i}": (members, *layer) for i, layer in enumerate(layers)}
    return shapes | {f"{HEAD}bias_{i}": (members, 1, outputs) for i, (_, outputs) in enumerate(layers[:-1])}
