"""The checkpoint: a folder with weights.safetensors and policy.json that is deployable alone. No torch here.

Learners write it when they end; `policy.MlpPolicy`, the exporter and the robot side read it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_serializer, model_validator

from robot_rl.errors import BadInput, need
from robot_rl.policies.image_input import ImageInput
from robot_rl.specs.yaml_model import SpecModel, describe

FORMAT_VERSION = 1
SPEC, WEIGHTS = "policy.json", "weights.safetensors"


class PolicyDescription(SpecModel):
    """What transitions alone cannot say about a policy: names, units, limits, robot, task, origin.

    The policy works on actions in [-1, 1]; -1 means `action_low` and 1 means `action_high`.
    """

    state_names: tuple[str, ...] = ()  # S, in order; a policy that sees pictures may need none
    state_units: tuple[str, ...]  # S; "" where unknown
    action_names: tuple[str, ...] = Field(min_length=1)  # A, in order
    action_units: tuple[str, ...]  # A
    action_low: tuple[float, ...]  # A, in action_units
    action_high: tuple[float, ...]
    fps: float = Field(gt=0)  # Hz, rate at which actions are chosen
    robot: str
    task: str
    task_text: str  # the goal in words
    dataset_hash: str
    reward_source: str  # column of the rewards, "" for none
    images: tuple[ImageInput, ...] = ()  # cameras that the policy sees

    @property
    def observation_size(self) -> int:
        """How many numbers the network sees: the state's and those of all pictures."""
        return len(self.state_names) + sum(image.features for image in self.images)

    @property
    def given_size(self) -> int:
        """How many of these numbers the data give; the others come from an encoder that learns."""
        return self.observation_size - sum(image.features for image in self.images if image.learned)

    @model_serializer(mode="wrap")
    def _without_empty_images(self, handler: Any) -> dict[str, Any]:
        # Policies of states stay as they were, for whoever reads them.
        values = handler(self)
        if not self.images:
            del values["images"]
        return values

    @model_validator(mode="after")
    def _sees_something(self) -> PolicyDescription:
        if not self.observation_size:
            raise ValueError("state_names and images are both empty; a policy has to see something")
        return self

    @model_validator(mode="after")
    def _lengths_fit(self) -> PolicyDescription:
        for name, like in _SAME_LENGTH.items():
            values = getattr(self, name, None)
            expected = len(getattr(self, like))
            if values is not None and len(values) != expected:
                raise ValueError(f"{name} has {len(values)} entries but {like} has {expected}")
        for name, low, high in zip(self.action_names, self.action_low, self.action_high, strict=True):
            if low >= high:
                raise ValueError(f"action '{name}': action_low {low} must be below action_high {high}")
        return self


_SAME_LENGTH = {
    "state_units": "state_names",
    "state_mean": "state_names",
    "state_std": "state_names",
    "action_units": "action_names",
    "action_low": "action_names",
    "action_high": "action_names",
}


class PolicySpec(PolicyDescription):
    """All that a robot has to know to run the weights: what policy.json holds."""

    format_version: int = FORMAT_VERSION
    version: str  # of robot_rl
    observation_keys: tuple[str, ...] = ("state",)
    state_mean: tuple[float, ...]  # S, in state_units: the network sees (state - mean) / std
    state_std: tuple[float, ...]
    hidden: tuple[int, ...]  # units of each hidden layer
    algorithm: str
    config: dict[str, Any]
    weights_hash: str = ""  # SHA-256 of weights.safetensors; set by save_checkpoint

    @model_validator(mode="after")
    def _std_is_positive(self) -> PolicySpec:
        for name, std in zip(self.state_names, self.state_std, strict=True):
            if std <= 0:
                raise ValueError(f"state_std of '{name}' must be positive, not {std}")
        for image in self.images:
            if not len(image.feature_mean) == len(image.feature_std) == image.features:
                raise ValueError(f"images: '{image.camera}' needs {image.features} feature means and stds")
            if min(image.feature_std) <= 0:
                raise ValueError(f"images: '{image.camera}' has a feature_std that is not positive")
        return self

    @property
    def observation_mean(self) -> np.ndarray:
        """(S + D,) float32: the states' and the features' means, as the network sees them."""
        parts = [self.state_mean, *(image.feature_mean for image in self.images)]
        return np.concatenate([np.float32(part) for part in parts])

    @property
    def observation_std(self) -> np.ndarray:
        """(S + D,) float32."""
        parts = [self.state_std, *(image.feature_std for image in self.images)]
        return np.concatenate([np.float32(part) for part in parts])

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors: layer<k>.weight (in, out), layer<k>.bias (out,), log_std (A,)."""
        sizes = (self.observation_size, *self.hidden, len(self.action_names))
        shapes: dict[str, tuple[int, ...]] = {}
        for k, (size_in, size_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            shapes[f"layer{k}.weight"] = (size_in, size_out)
            shapes[f"layer{k}.bias"] = (size_out,)
        return shapes | {"log_std": (len(self.action_names),)}


def save_checkpoint(
    folder: str | Path,
    weights: Mapping[str, np.ndarray],
    spec: PolicySpec,
    encoders: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a checkpoint; policy.json comes last, and a killed write is noticed by the files' hashes.

    `encoders` are the ONNX files of the cameras that the policy sees, by file name.
    """
    folder = Path(folder)
    _check_weights(weights, spec, str(folder))
    content = need("safetensors.numpy", "train").save(
        {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
    )
    hashes = {name: hashlib.sha256(one).hexdigest() for name, one in (encoders or {}).items()}
    images = tuple(image.model_copy(update={"file_hash": hashes[image.file]}) for image in spec.images)
    hashed = {"weights_hash": hashlib.sha256(content).hexdigest(), "images": images}
    spec = spec.model_copy(update=hashed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in (encoders or {}).items():
        write_atomically(folder / name, one)
    write_atomically(folder / WEIGHTS, content)
    write_atomically(folder / SPEC, (json.dumps(spec.model_dump(mode="json"), indent=2) + "\n").encode())
    return folder


def load_checkpoint(folder: str | Path) -> tuple[dict[str, np.ndarray], PolicySpec]:
    """Read a checkpoint; raises BadInput naming the file, the field and the rule that it breaks."""
    folder = Path(folder)
    spec = load_spec(folder)
    safetensors = need("safetensors", "train")
    content = _read(folder / WEIGHTS)
    if spec.weights_hash and hashlib.sha256(content).hexdigest() != spec.weights_hash:
        raise BadInput(f"{folder / SPEC}: weights_hash is not that of {WEIGHTS}; copy both from one run")
    try:
        weights = need("safetensors.numpy", "train").load(content)
    except safetensors.SafetensorError as error:
        raise BadInput(f"{folder / WEIGHTS}: not a safetensors file ({error}); copy the run again") from error
    _check_weights(weights, spec, str(folder / WEIGHTS))
    return weights, spec


def load_spec(folder: str | Path) -> PolicySpec:
    """Read policy.json alone; raises BadInput."""
    path = Path(folder) / SPEC
    try:
        raw = json.loads(_read(path))
    except ValueError as error:
        raise BadInput(f"{path}: not valid JSON ({error}); copy the run again") from error
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: must hold a JSON object, not {type(raw).__name__}")
    version = raw.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BadInput(
            f"{path}: format_version is {version}, newer than {FORMAT_VERSION}, the newest known here; "
            "update robot-rl"
        )
    try:
        return PolicySpec.model_validate(raw)
    except ValidationError as error:
        raise BadInput(f"{path}: {describe(error, PolicySpec)}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a killed write leaves the old one whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _check_weights(weights: Mapping[str, np.ndarray], spec: PolicySpec, where: str) -> None:
    """Raise BadInput unless the tensors are those that the spec calls for, with finite values."""
    shapes = spec.weight_shapes()
    for name in sorted(set(shapes) | set(weights)):
        if name not in weights:
            raise BadInput(f"{where}: tensor '{name}' is missing; policy.json calls for shape {shapes[name]}")
        if name not in shapes:
            raise BadInput(f"{where}: tensor '{name}' is not part of the policy in policy.json")
        if weights[name].shape != shapes[name]:
            raise BadInput(
                f"{where}: tensor '{name}' has shape {weights[name].shape}; "
                f"policy.json calls for {shapes[name]}"
            )
        if not np.isfinite(weights[name]).all():
            raise BadInput(f"{where}: tensor '{name}' holds a value that is not finite; train again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}); a checkpoint is a folder with {SPEC} and {WEIGHTS}"
        ) from error
