"""What a policy is to see of a dataset: parts of the state, and pictures through an encoder.

`robot-rl train --observe` names them; the numbers or pictures go to the learner, a frozen encoder into the
checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_rl.cli.common import progress
from robot_rl.errors import BadInput, nearest, need_installed

if TYPE_CHECKING:
    from robot_rl.data.replay import Observed, Transitions
    from robot_rl.data.store import Dataset
    from robot_rl.policies.image_input import ImageInput
    from robot_rl.policies.policy import Policy
    from robot_rl.vision.bottleneck import Bottleneck
    from robot_rl.vision.keypoints import KeypointEncoder

IMAGE, IN_DOMAIN, CNN = "image.", "in-domain", "cnn"
CNN_SIZE = 64  # pixels; smaller pictures stay as they are
FILE = "encoder-{}.onnx"
_BATCH = 256  # frames at once


@dataclass(frozen=True)
class Sight:
    """What a policy sees, as the learner and the checkpoint need it."""

    state_names: tuple[str, ...]  # in the dataset's order
    observed: Observed | None = None  # None: the dataset's whole state
    images: tuple[ImageInput, ...] = ()
    encoders: Mapping[str, bytes] = field(default_factory=dict)  # frozen ones, ONNX by file name
    array: np.ndarray | None = None  # (N + E, size, size, 3) uint8 for an encoder that learns

    def pictures(self, dataset: Dataset, transitions: Transitions) -> Any:
        """The pictures that belong to transitions, None where the encoder does not learn."""
        if self.array is None:
            return None
        from robot_rl.learners.pictures import Pictures

        following = transitions.frame + 1
        last = np.cumsum(dataset.lengths) - 1
        ends = np.isin(transitions.frame, last)
        following[ends] = dataset.info.total_frames + dataset.episode_index[transitions.frame[ends]]
        return Pictures(self.array, transitions.frame, following)


def look(dataset: Dataset, observe: Sequence[str], encoder: str, end: int | None = None) -> Sight:
    """Gather what `observe` names, `image.CAMERA` and parts of the state; raises BadInput.

    `encoder` is cnn, which learns, or in-domain[:TASK], frozen: then pictures of every frame are encoded once
    and kept in the cache, and the frames before `end` say how they are compressed.
    """
    parts, cameras = chosen(dataset, observe)
    names = dataset.info.state_names
    if not cameras and parts == names:
        return Sight(names)
    frames, finals, known = _state(dataset, [names.index(name) for name in parts])
    if not cameras:
        return Sight(parts, _observed([frames], [finals], known))
    need_installed("onnx", "onnx")
    need_installed("onnxruntime", "onnx")
    known = known & np.all([_has_final(dataset, camera) for camera in cameras], 0)
    if encoder == CNN:
        image, array = _learned(dataset, cameras[0])
        images = (image,) + tuple(image.model_copy(update={"camera": name}) for name in cameras[1:])
        return Sight(parts, _observed([frames], [finals], known), images, array=array)
    eye, images, encoders = _encoder(dataset, encoder), [], {}
    all_frames, all_finals = [frames], [finals]
    for k, camera in enumerate(cameras):
        seen, last, narrow = _encoded(dataset, camera, eye, end)
        all_frames.append(seen)
        all_finals.append(last)
        image, encoders[FILE.format(k)] = _frozen(dataset, camera, eye, narrow, FILE.format(k))
        images.append(image)
    return Sight(parts, _observed(all_frames, all_finals, known), tuple(images), encoders)


def chosen(dataset: Dataset, observe: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Parts of the state, in the dataset's order, and cameras that `observe` names; raises BadInput.

    Without any name it is the whole state.
    """
    names, cameras = dataset.info.state_names, [IMAGE + name for name in dataset.info.cameras]
    for name in observe:
        if name not in (*names, *cameras):
            raise BadInput(f"--observe: {dataset.root} has no '{name}'.{nearest(name, [*names, *cameras])}")
    if not observe:
        return names, ()
    seen = tuple(name.removeprefix(IMAGE) for name in cameras if name in observe)
    return tuple(name for name in names if name in observe), seen


def check_algorithm(algo: str, observe: Sequence[str], encoder: str) -> None:
    """Refuse an algorithm that cannot learn from what `observe` names, before minutes are spent; BadInput."""
    if not any(name.startswith(IMAGE) for name in observe):
        return
    if algo.startswith("d3rlpy:"):
        raise BadInput(f"--observe: {algo} learns from states alone; iql, bc, calql and rlpd from pictures")
    if encoder == CNN and algo != "iql":
        raise BadInput(f"--encoder: the encoder cnn learns with iql, not {algo}; in-domain serves all others")


def recorded_actions(policy: Policy, dataset: Dataset, start: int) -> np.ndarray:
    """What a policy would have done in each frame from `start` on, (n, A)."""
    spec, parts = policy.spec, []
    columns = [dataset.info.state_names.index(name) for name in spec.state_names]
    states = dataset.column("observation.state")[:, columns]
    for first in range(start, len(states), _BATCH):
        rows = np.arange(first, min(first + _BATCH, len(states)))
        pictures = {image.key: dataset.frames(image.camera, rows) for image in spec.images}
        parts.append(policy.act({"state": states[rows], **pictures}))
    return np.concatenate(parts)


def _observed(frames: list[np.ndarray], finals: list[np.ndarray], known: np.ndarray) -> Observed:
    from robot_rl.data.replay import Observed

    return Observed(np.concatenate(frames, 1), np.concatenate(finals, 1), known)


def _state(dataset: Dataset, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kept parts of every frame (N, S), after each last action (E, S), and which of these are known."""
    frames, finals = dataset.column("observation.state")[:, columns], dataset.final_states()
    if finals is None:
        return frames, np.zeros((len(dataset), len(columns)), np.float32), np.zeros(len(dataset), bool)
    return frames, finals[:, columns], np.isfinite(finals).all(1)


def _has_final(dataset: Dataset, camera: str) -> np.ndarray:
    """(E,) bool: whether the picture after the last action is known."""
    return np.array([picture is not None for picture in dataset.final_pictures(camera)])


def _encoder(dataset: Dataset, name: str) -> KeypointEncoder:
    """The frozen encoder; raises BadInput where it cannot be had, before minutes are spent."""
    from robot_rl.specs.tasks import load_task, task_names

    kind, _, task = name.partition(":")
    if kind != IN_DOMAIN:
        raise BadInput(f"--encoder: no encoder '{name}'.{nearest(name, [IN_DOMAIN, 'in-domain:TASK', CNN])}")
    task = task or str(dataset.info.metadata.get("task", ""))
    if task not in task_names():
        raise BadInput(
            f"--encoder: in-domain belongs to a task card, not to '{task}'; give in-domain:TASK with one of "
            f"{', '.join(task_names())}, or cnn, which learns from the data's own pictures"
        )
    from robot_rl.cli.judging import in_domain_encoder
    from robot_rl.vision.in_domain import InDomainConfig
    from robot_rl.vision.keypoints import KeypointEncoder

    return KeypointEncoder(in_domain_encoder(load_task(task), InDomainConfig(), 2, progress))


def _encoded(
    dataset: Dataset, camera: str, eye: KeypointEncoder, end: int | None
) -> tuple[np.ndarray, np.ndarray, Bottleneck]:
    """Features of all frames (N, K) and of the pictures after the last actions (E, K), and what made K."""
    from robot_rl.vision.bottleneck import Bottleneck
    from robot_rl.vision.cache import embed_dataset

    with progress(dataset.info.total_frames, f"encoding {camera}", "frames") as advance:
        places = embed_dataset(dataset, camera, eye, advance)
    narrow, finals = Bottleneck.fit(places[:end]), np.zeros((len(dataset), eye.features), np.float32)
    for row, picture in enumerate(dataset.final_pictures(camera)):
        if picture is not None:
            finals[row] = eye.images(picture[None])[0]
    return narrow(places), narrow(finals), narrow


def _frozen(
    dataset: Dataset, camera: str, eye: KeypointEncoder, narrow: Bottleneck, file: str
) -> tuple[ImageInput, bytes]:
    """A camera's part of the policy's description, and the encoder's ONNX file."""
    from robot_rl.policies.image_input import ImageInput
    from robot_rl.policies.onnx_encoder import encoder_to_onnx

    height, width = dataset.info.cameras[camera]
    described = ImageInput(
        camera=camera,
        height=height,
        width=width,
        size=eye.size,
        features=narrow.size,
        encoder=f"{narrow.size} principal components of {eye.identity['origin']}",
        weights=narrow.hash_with(eye.identity["weights"]),
        file=file,
    )
    return described, encoder_to_onnx(narrow.after(eye.net), eye.size)


def _learned(dataset: Dataset, camera: str) -> tuple[ImageInput, np.ndarray]:
    """A camera's part of the description for a network that learns to see, and all its pictures."""
    from robot_rl.data.picture_file import picture_array
    from robot_rl.policies.convolutions import FEATURES
    from robot_rl.policies.image_input import ImageInput
    from robot_rl.vision.sizes import fit_size

    height, width = dataset.info.cameras[camera]
    size = min(CNN_SIZE, height, width)
    described = ImageInput(
        camera=camera,
        height=height,
        width=width,
        size=size,
        features=FEATURES,
        encoder="small convolutional network, trained by the critic",
        file=FILE.format(0),
    )
    with progress(dataset.info.total_frames, f"unpacking {camera}", "frames") as advance:
        return described, picture_array(dataset, camera, size, fit_size, advance)
