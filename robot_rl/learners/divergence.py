"""Stops a run whose numbers are no longer finite, with the culprits' names and the batch that did it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save
from torch import Tensor

from robot_rl.errors import RobotRLError
from robot_rl.learners.batch import Batch
from robot_rl.policies.checkpoint import write_atomically

if TYPE_CHECKING:
    from robot_rl.learners.train import Learner

NAN_BATCH = "nan_batch.safetensors"


def is_finite(info: Mapping[str, Tensor]) -> bool:
    """Whether every single number of an update's info (its losses) is finite."""
    return all(math.isfinite(value.item()) for value in info.values() if value.dim() == 0)


def stop_unless_finite(info: Mapping[str, Tensor], learner: Learner, batch: Batch, folder: Path) -> None:
    """Raise RobotRLError where a loss or a tensor of the learner is not finite, after saving the batch."""
    named = {**info, **learner.state_dict()}
    bad = [name for name, tensor in named.items() if not torch.isfinite(tensor).all()]
    if not bad:
        return
    path = folder / NAN_BATCH
    tensors = {name: t.contiguous().clone() for name, t in batch._asdict().items() if t is not None}
    write_atomically(path, save(tensors))
    raise RobotRLError(
        f"training diverged at update {learner.step}: not finite in {', '.join(bad)}; "
        f"the batch is in {path}; try a smaller learning rate"
    )
