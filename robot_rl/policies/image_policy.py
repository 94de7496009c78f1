"""A policy that sees pictures: ONNX encoders beside the checkpoint make numbers of them. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicySpec, load_checkpoint
from robot_rl.policies.image_input import ImageInput
from robot_rl.policies.onnx_policy import session
from robot_rl.policies.policy import MlpPolicy, Policy, checked_state
from robot_rl.vision.sizes import fit_size

_PICTURES, _FEATURES = "pictures", "features"  # names in the encoder's graph


def load_policy(folder: str | Path) -> Policy:
    """The policy of a checkpoint folder, of states or of pictures; raises BadInput."""
    weights, spec = load_checkpoint(folder)
    if not spec.images:
        return MlpPolicy(weights, spec)
    contents = {image.file: image.read(Path(folder)) for image in spec.images}
    return ImagePolicy(weights, spec, contents, str(folder))


class ImagePolicy:
    """The deterministic action for pictures and the parts of the state that the policy sees."""

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        spec: PolicySpec,
        encoders: Mapping[str, bytes],
        where: str = "policy",
    ):
        """`encoders` are ONNX files by name; raises BadInput for one that does not fit, naming `where`."""
        self.spec, self._head = spec, MlpPolicy(weights, spec)
        self._eyes = [(one, _session(encoders[one.file], one, where)) for one in spec.images]

    def act(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """Choose the action (A,) float32 in the spec's units, or (B, A) where everything has a first axis B.

        An observation maps "state" to (S,) and each `image.<camera>` to (H, W, 3) uint8. Raises BadInput for
        what is missing, for other shapes and sizes and for numbers that are not finite.
        """
        if not isinstance(observation, Mapping):
            seen = ", ".join(image.key for image in self.spec.images)
            raise BadInput(f"observation must map 'state' and {seen} to arrays, not be one array")
        parts = [self._state(observation)] if self.spec.state_names else []
        single = {parts[0].ndim == 1} if parts else set()
        for image, eye in self._eyes:
            picture = checked_picture(observation, image)
            single.add(picture.ndim == 3)
            pictures = fit_size(picture if picture.ndim == 4 else picture[None], image.size)
            parts.append(eye.run([_FEATURES], {_PICTURES: pictures})[0])
        if len(single) > 1 or len({len(part) for part in parts if part.ndim == 2} - {1}) > 1:
            raise BadInput("observation mixes single values and batches, or batches of several sizes")
        actions = self._head.act_on(np.concatenate([np.atleast_2d(part) for part in parts], 1))
        return actions[0] if single == {True} else actions

    def reset(self) -> None:
        """Nothing to forget."""

    def _state(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        return checked_state(observation, self.spec.state_names)


def checked_picture(observation: Mapping[str, np.ndarray], image: ImageInput) -> np.ndarray:
    """The picture (H, W, 3) or (B, H, W, 3) uint8 of an observation; raises BadInput."""
    if image.key not in observation:
        raise BadInput(f"observation has no '{image.key}'; it has {', '.join(sorted(observation)) or None}")
    picture, shape = np.asarray(observation[image.key]), (image.height, image.width, 3)
    if picture.dtype != np.uint8 or picture.ndim not in (3, 4) or picture.shape[-3:] != shape:
        raise BadInput(
            f"{image.key} is {picture.dtype} {picture.shape}; the policy takes uint8 {shape}, as the camera "
            "that it learned from"
        )
    return picture


def _session(content: bytes, image: ImageInput, where: str) -> Any:
    """An encoder's session; raises BadInput unless it takes and gives what the spec says."""
    eye = session(content, f"{where}/{image.file}", "copy the whole run again")
    told = [(one.name, one.shape[1:]) for one in (*eye.get_inputs(), *eye.get_outputs())]
    wanted = [(_PICTURES, [image.size, image.size, 3]), (_FEATURES, [image.features])]
    if told != wanted:
        raise BadInput(f"{where}/{image.file}: takes and gives {told}; policy.json calls for {wanted}")
    return eye
