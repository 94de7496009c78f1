"""Imports open_clip, also beside a CPU-only torch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch

from robot_rl.errors import need

_kept: list[Any] = []  # the declared operators live as long as their library object


def import_open_clip() -> ModuleType:
    """Return the module open_clip; raises BadInput where it is not installed."""
    try:
        need("torchvision", "vlm")
    except RuntimeError as error:
        # torchvision's only published build links CUDA; beside a CPU torch its C++ operators do not load and
        # its import fails on their names. Declaring the names is enough: open_clip never calls them.
        if "nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        need("torchvision", "vlm")
    return need("open_clip", "vlm")
