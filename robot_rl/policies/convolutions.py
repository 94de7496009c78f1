"""The small convolutional network that is trained on pictures by the critic, and its random shifts.

Yarats et al., 2021, Image Augmentation Is All You Need (DrQ, arXiv:2004.13649), with a stride of 2 in every
layer but the last, which a processor without a GPU can bear.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

CHANNELS, FEATURES, PAD = 32, 50, 4


class SmallConvNet(nn.Module):
    """Pictures (n, size, size, 3) uint8 to features (n, 50) in (-1, 1)."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        """Orthogonal weights and zero biases, as in the authors' code."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(3 if k == 0 else CHANNELS, CHANNELS, 3, stride=1 if k == 3 else 2) for k in range(4)
        )
        side = size
        for layer in self.layers:
            side = (side - 3) // layer.stride[0] + 1
        self.last = nn.Linear(CHANNELS * side * side, FEATURES)
        self.norm = nn.LayerNorm(FEATURES)
        for layer in (*self.layers, self.last):
            gain = 1.0 if layer is self.last else math.sqrt(2)
            nn.init.orthogonal_(layer.weight, gain, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Centre the pixels, convolve, and squeeze."""
        x = pictures.permute(0, 3, 1, 2).float() / 255.0 - 0.5
        for layer in self.layers:
            x = torch.relu(layer(x))
        return torch.tanh(self.norm(self.last(x.flatten(1))))


def random_shift(pictures: Tensor, generator: torch.Generator, pad: int = PAD) -> Tensor:
    """Shift each picture (n, H, W, C) by up to `pad` pixels in both directions, drawn one by one."""
    return shifted(pictures, torch.randint(-pad, pad + 1, (len(pictures), 2), generator=generator))


def shifted(pictures: Tensor, by: Tensor) -> Tensor:
    """Picture k (H, W, C) moved up and left by `by[k]` (2,) pixels; at the borders the edge is repeated.

    That is what padding by repetition and cropping gives.
    """
    n, height, width, _ = pictures.shape
    rows = (torch.arange(height) + by[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width) + by[:, 1:]).clamp(0, width - 1)
    return pictures[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
