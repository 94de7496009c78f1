"""Where things are in a picture: a frozen encoder's feature maps, each as its mean place.

What an image-text model pools into one vector says what is seen; how far a hand is from a handle is lost in
it. The maps before the pooling still hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robot_rl.errors import BadInput
from robot_rl.vision.encoder import ImageTextEncoder
from robot_rl.vision.sizes import fit_size

_BATCH = 256  # pictures at once
KIND = "keypoints"


def spatial_soft_argmax(maps: Tensor) -> Tensor:
    """Mean places (n, 2 C) of maps (n, C, H, W), x of all and then y, from -1 to 1; the softmax weighs.

    Levine et al., 2016, End-to-End Training of Deep Visuomotor Policies (arXiv:1504.00702), section 5.1.
    """
    weights = maps.flatten(2).softmax(2).view_as(maps)
    across = torch.linspace(-1, 1, maps.shape[3], device=maps.device)
    down = torch.linspace(-1, 1, maps.shape[2], device=maps.device)
    return torch.cat([(weights.sum(2) * across).sum(2), (weights.sum(3) * down).sum(2)], 1)


class KeypointNet(nn.Module):
    """Pictures (n, size, size, 3) uint8 to places (n, D) float32, in one graph, which ONNX can hold."""

    def __init__(self, visual: nn.Module, mean: Tensor, std: Tensor) -> None:
        """`visual` is open_clip's residual image tower; its stages but the last give 256 maps of 4x4."""
        super().__init__()
        stages = ("conv1", "bn1", "act1", "conv2", "bn2", "act2", "conv3", "bn3", "act3", "avgpool")
        stages += ("layer1", "layer2", "layer3")
        self.trunk = nn.Sequential(*(getattr(visual, name) for name in stages))
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalise, and find the places."""
        values = pictures.permute(0, 3, 1, 2).float() / 255.0
        return spatial_soft_argmax(self.trunk((values - self.mean) / self.std))


class KeypointEncoder:
    """Places (n, D) float32 of pictures, for `cache.embed_dataset` and for a policy's checkpoint."""

    def __init__(self, encoder: ImageTextEncoder) -> None:
        """Take the image tower of a residual image-text model; raises BadInput for another kind of tower."""
        visual = encoder.model.visual
        if not all(hasattr(visual, name) for name in ("stem", "layer1", "layer2", "layer3")):
            raise BadInput(
                f"{encoder.identity['origin']}: has no feature maps to find places in; its image tower must "
                "be a residual network, as the in-domain model's is"
            )
        self.net = KeypointNet(visual, encoder._mean, encoder._std).eval()
        self.size = encoder.size
        self.identity: Mapping[str, Any] = {
            **encoder.identity,
            "kind": KIND,
            "origin": f"places of feature maps (spatial soft-argmax before the last stage) of: "
            f"{encoder.identity['origin']}",
        }
        self.features = self.images(np.zeros((1, self.size, self.size, 3), np.uint8)).shape[1]

    @torch.inference_mode()
    def images(self, pictures: np.ndarray) -> np.ndarray:
        """Places (n, D) in pictures (n, H, W, 3) uint8; raises BadInput for those that are too small."""
        parts = [fit_size(pictures[i : i + _BATCH], self.size) for i in range(0, len(pictures), _BATCH)]
        return np.concatenate([self.net(torch.from_numpy(part)).numpy() for part in parts])
