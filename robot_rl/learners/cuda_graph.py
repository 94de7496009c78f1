"""Updates on a GPU: one captured as a CUDA graph and replayed, as launching its small kernels takes longer.

Each replay gathers its batch, computes the losses and moves the weights; only the rows' numbers go in. It
follows torch's documentation of CUDA graphs; the benchmark `learners` compares it with the eager update and
the processor where there is a GPU.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from robot_rl.errors import BadInput
from robot_rl.learners.adam import load_tensors
from robot_rl.learners.batch import Batch

CAPTURED = ("iql", "bc")  # their updates draw no random numbers, which a graph would have to be told of
_WARM_UP = 3  # updates before the capture, as torch asks for
DEVICES = ("cpu", "cuda")


class Capturable(Protocol):
    """A learner whose update has a part that only the device computes."""

    step: int

    def schedule(self) -> None:
        """What the host does before an update: learning rates."""

    def compute(self, batch: Batch) -> dict[str, Tensor]:
        """The rest, without a look at any value; counting `step` is the caller's."""

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors, not copied."""


class Rows(Protocol):
    """A table on the GPU."""

    def rows(self, indices: Tensor) -> Batch:
        """The batch of these rows."""


def checked_device(name: str, algorithm: str) -> torch.device:
    """The device that training is to run on; raises BadInput where it cannot."""
    if name not in DEVICES:
        raise BadInput(f"--device: must be {' or '.join(DEVICES)}, not '{name}'")
    if name == "cuda" and algorithm not in CAPTURED:
        raise BadInput(f"--device: cuda serves {' and '.join(CAPTURED)}, not {algorithm}; use cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput(
            f"--device: torch {torch.__version__} sees no GPU; use cpu, or install a build of torch for this "
            "machine's CUDA driver"
        )
    return torch.device(name)


class CapturedUpdate:
    """One learner's update on one table's batches of one size, captured; call it with rows (B,) int64."""

    def __init__(self, learner: Capturable, table: Rows, size: int, device: torch.device):
        """Warm up on a stream of its own, capture, and set the learner back (torch.cuda.CUDAGraph's docs)."""
        self._learner, self._table = learner, table
        self._indices = torch.zeros(size, dtype=torch.int64, device=device)
        before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._work()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._info = self._work()
        load_tensors(learner.state_dict(), before)

    def _work(self) -> dict[str, Tensor]:
        """What is captured."""
        return self._learner.compute(self._table.rows(self._indices))

    def __call__(self, indices: Tensor) -> dict[str, Tensor]:
        """Take one update; the info's tensors are overwritten by the next."""
        self._learner.schedule()
        self._indices.copy_(indices)
        self._graph.replay()
        self._learner.step += 1
        return self._info
