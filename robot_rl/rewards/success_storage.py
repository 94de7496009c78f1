"""A success classifier on disk: weights.safetensors and success.json in a folder, written at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_rl.errors import BadInput, nearest
from robot_rl.rewards import storage
from robot_rl.rewards.success_config import FIELDS, SuccessConfig

if TYPE_CHECKING:
    from robot_rl.rewards.success import SuccessClassifier

META = "success.json"
NUMBERS = ("slope", "offset", "threshold")
ARRAYS = ("feature_mean", "feature_std", "shift", "scale")
_WHAT = "success classifier"


def write(folder: Path, classifier: SuccessClassifier, identity: Mapping[str, Any]) -> None:
    """Write `folder` whole or not at all; raises BadInput if it holds something else."""
    arrays = {name: getattr(classifier, name) for name in ARRAYS}
    arrays |= {storage.HEAD + name: tensor.numpy() for name, tensor in classifier.weights.items()}
    content = {
        "identity": dict(identity),
        "config": asdict(classifier.config),
        "features": len(classifier.feature_mean),
        **{name: float(getattr(classifier, name)) for name in NUMBERS},
        "about": dict(classifier.about),
    }
    storage.write_folder(folder, META, _WHAT, arrays, content)


def read(folder: Path, identity: Mapping[str, Any] | None) -> dict[str, Any]:
    """Read all fields of a classifier, heads under "weights"; raises BadInput by field."""
    where = folder / META
    content = storage.read_meta(where, _WHAT)
    kinds = {"identity": dict, "config": dict, "features": int, "about": dict}
    for name, kind in (kinds | dict.fromkeys(NUMBERS, (int, float))).items():
        if not isinstance(content.get(name), kind) or isinstance(content[name], bool):
            raise BadInput(f"{where}: {name} is missing or of a wrong type; fit the {_WHAT} again")
    if not all(math.isfinite(content[name]) for name in NUMBERS):
        raise BadInput(f"{where}: {', '.join(NUMBERS)} must be finite; fit the {_WHAT} again")
    storage.check_identity(content["identity"], identity, where)
    for name in content["config"]:
        if name not in FIELDS:
            raise BadInput(f"{where}: config.{name}: unknown field.{nearest(name, FIELDS)}")
    try:
        config = SuccessConfig(**content["config"])
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error
    arrays = storage.read_arrays(folder, META, _WHAT, _shapes(config, content["features"]))
    heads = {name: arrays.pop(name) for name in list(arrays) if name.startswith(storage.HEAD)}
    return {
        **arrays,
        "weights": {name.removeprefix(storage.HEAD): value for name, value in heads.items()},
        "config": config,
        **{name: float(content[name]) for name in NUMBERS},
        "about": content["about"],
        "identity": content["identity"],
    }


def _shapes(config: SuccessConfig, size: int) -> dict[str, tuple[int, ...]]:
    """Shape of every array of a classifier with this config on strips of `size` numbers."""
    named = {name: (size,) if name.startswith("feature_") else (config.members,) for name in ARRAYS}
    return named | storage.head_shapes(config.members, (size, *config.hidden, 1))
