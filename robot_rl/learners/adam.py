"""Adam over networks whose parameters lie in one flat tensor: one kernel a step, a state of few arrays."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def flatten(*modules: nn.Module) -> Tensor:
    """Move all parameters of `modules` into one flat tensor (P,), of which they become views.

    The gradients are views of the flat tensor's gradient as well.
    """
    parameters = [p for module in modules for p in module.parameters()]
    flat = torch.cat([p.detach().reshape(-1) for p in parameters])
    flat.grad = torch.zeros_like(flat)
    start = 0
    for p in parameters:
        stop = start + p.numel()
        p.data = flat[start:stop].view(p.shape)
        p.grad = flat.grad[start:stop].view(p.shape)
        start = stop
    return flat


class FlatAdam:
    """Adam (betas .9, .999) on flat tensors, each with its own learning rate."""

    def __init__(self, flats: Mapping[str, Tensor], learning_rate: float):
        self.flats = dict(flats)
        on_gpu = any(flat.is_cuda for flat in self.flats.values())
        # A captured update reads its learning rate and its step from the GPU's memory, not from the host's.
        groups = [{"params": [flat]} for flat in self.flats.values()]
        if on_gpu:
            for group in groups:
                group["lr"] = torch.tensor(learning_rate, device=group["params"][0].device)
        self._adam = torch.optim.Adam(groups, lr=learning_rate, fused=True, capturable=on_gpu)
        # Adam would make these at its first step, but resuming needs them before.
        for flat in self.flats.values():
            self._adam.state[flat] = {
                "step": torch.zeros((), dtype=torch.float32, device=flat.device),
                "exp_avg": torch.zeros_like(flat),
                "exp_avg_sq": torch.zeros_like(flat),
            }
        self._groups = dict(zip(self.flats, self._adam.param_groups, strict=True))

    def set_learning_rate(self, name: str, value: float) -> None:
        """Set the learning rate of one flat tensor from now on."""
        group = self._groups[name]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value

    def minimise(self, loss: Tensor) -> None:
        """Take one step down the gradient of `loss`."""
        for flat in self.flats.values():
            flat.grad.zero_()
        loss.backward()
        self._adam.step()

    def tensors(self) -> dict[str, Tensor]:
        """The parameters and Adam's state, as they are (not copied), by name."""
        found = {}
        for name, flat in self.flats.items():
            found[name] = flat
            found |= {f"{name}.{key}": value for key, value in self._adam.state[flat].items()}
        return found


def load_tensors(into: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy tensors by name in place; KeyError or RuntimeError where they do not fit."""
    with torch.no_grad():
        for name, tensor in into.items():
            tensor.copy_(state[name])
