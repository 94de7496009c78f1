"""What a policy takes from one camera: which pictures, and the encoder that turns them into numbers.

It is a part of policy.json; the encoder itself is an ONNX file beside it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from robot_rl.errors import BadInput
from robot_rl.specs.yaml_model import SpecModel


class ImageInput(SpecModel):
    """One camera's part of an observation, `image.<camera>` (height, width, 3) uint8."""

    camera: str = Field(min_length=1)
    height: int = Field(gt=0)  # pixels, of the pictures that were learned from
    width: int = Field(gt=0)
    size: int = Field(gt=0)  # pixels, square: what the encoder sees; other pictures are brought to it
    features: int = Field(gt=0)  # D numbers that the encoder makes of a picture
    encoder: str  # what it is and how it was made, in words
    weights: str = ""  # of a frozen encoder: SHA-256 of its weights
    file: str = Field(pattern=r"^[\w.-]+$")  # ONNX, beside policy.json
    # Set when training ends: the network sees (features - mean) / std.
    file_hash: str = ""  # SHA-256
    feature_mean: tuple[float, ...] = ()  # D
    feature_std: tuple[float, ...] = ()

    @property
    def learned(self) -> bool:
        """Whether the encoder was trained with the policy; a frozen one's weights are known before."""
        return not self.weights

    @property
    def key(self) -> str:
        """Its name in an observation."""
        return f"image.{self.camera}"

    def read(self, folder: Path) -> bytes:
        """The encoder's file; raises BadInput where it is missing or another one."""
        path = folder / self.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{path} cannot be read ({error.strerror}); the policy sees camera '{self.camera}' through "
                "it: copy the whole run"
            ) from error
        if hashlib.sha256(content).hexdigest() != self.file_hash:
            raise BadInput(f"{path}: is not the encoder that policy.json names; copy both from one run")
        return content
