"""What a policy that sees is shown: the newest picture of each of its cameras, brought to its size, or none.

A picture that is too old, as the robot's contract says, is not shown: the policy then wishes nothing, and the
guard stops the robot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.deploy.pictures import picture_of
from robot_rl.deploy.watch import Watch
from robot_rl.errors import BadInput, need
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.image_input import ImageInput
from robot_rl.specs.robot_contract import RobotContract

_ALIKE = 0.02  # share by which a picture's proportions may differ from those that were learned from


class Eyes:
    """The cameras of a policy; times are s, `now` monotonic and `wall` of the clock that stamps."""

    def __init__(self, contract: RobotContract, spec: PolicyDescription) -> None:
        """The policy's cameras must be in the contract (`check_fit`)."""
        self._inputs = {image.camera: image for image in spec.images}
        self.topics = {name: contract.cameras[name].topic for name in self._inputs}
        self._watches = {name: Watch.of(name, contract.cameras[name]) for name in self._inputs}
        self._messages: dict[str, Any] = {}  # the newest, not yet converted
        self._pictures: dict[str, np.ndarray] = {}

    def saw(self, camera: str, message: Any, stamp: float | None, wall: float, now: float) -> None:
        """Note an image message; it is converted when the policy is next asked, if no newer one comes."""
        watch = self._watches[camera]
        if watch.jumped:
            watch.forget()  # no person is asked: until its next message, nothing is shown and nothing wished
        if watch.heard(stamp, wall, now):
            self._messages[camera] = message

    def __call__(self, wall: float, now: float) -> dict[str, np.ndarray]:
        """`image.<camera>` -> (H, W, 3) uint8; raises BadInput for one that is old or of another kind."""
        found = {}
        for camera, image in self._inputs.items():
            self._convert(camera, image)
            watch = self._watches[camera]
            if problem := watch.problem(wall, now) or watch.misread:
                raise BadInput(f"camera {problem}")
            found[image.key] = self._pictures[camera]
        return found

    def _convert(self, camera: str, image: ImageInput) -> None:
        """Make a picture of the newest message; the one before it is not shown in its place."""
        message = self._messages.pop(camera, None)
        if message is not None:
            try:
                self._pictures[camera] = fitted(picture_of(message), image)
            except BadInput as error:
                self._watches[camera].misread = f"'{camera}': {error}"


def fitted(picture: np.ndarray, image: ImageInput) -> np.ndarray:
    """A picture (H, W, 3) in the size that the policy learned from, averaging areas.

    Raises BadInput for other proportions, which would show it a stretched world, and for a smaller picture.
    """
    height, width = picture.shape[:2]
    if (height, width) == (image.height, image.width):
        return picture
    wanted = f"the policy learned from {image.height}x{image.width}"
    if abs(height * image.width / (width * image.height) - 1) > _ALIKE:
        raise BadInput(
            f"pictures of {height}x{width} pixels have other proportions; {wanted}: set the camera, or crop "
            "its pictures, to these proportions"
        )
    if height < image.height:
        raise BadInput(f"pictures of {height}x{width} pixels are too small; {wanted}")
    cv2 = need("cv2", "sim")
    return cv2.resize(picture, (image.width, image.height), interpolation=cv2.INTER_AREA)


def blank(spec: PolicyDescription) -> np.ndarray | dict[str, np.ndarray]:
    """An observation to try a policy on: the mean state (S,), and black pictures where it sees."""
    state = np.array(getattr(spec, "state_mean", ()), np.float32)
    if not spec.images:
        return state
    pictures = {one.key: np.zeros((one.height, one.width, 3), np.uint8) for one in spec.images}
    return {"state": state, **pictures}
