"""The networks that learners train: ensembles of MLPs in one batched product, and the actor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

LOG_STD_RANGE = (-5.0, 2.0)


class EnsembleMLP(nn.Module):
    """`count` MLPs of the same sizes with ReLU between layers, computed together."""

    def __init__(self, count: int, sizes: Sequence[int], generator: torch.Generator):
        """Orthogonal weights with gain sqrt(2) and zero biases; `sizes` are input, hidden…, output."""
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size_in, size_out in zip(sizes[:-1], sizes[1:], strict=True):
            weight = torch.empty(count, size_in, size_out)
            for one in weight:
                nn.init.orthogonal_(one, gain=math.sqrt(2), generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(count, 1, size_out)))
        # Looking parameters up in nn.Module costs as much as a small product.
        self._layers = list(zip(self.weights, self.biases, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) to (count, B, out)."""
        x = x.expand(len(self._layers[0][0]), *x.shape)
        last = len(self._layers) - 1
        for k, (weight, bias) in enumerate(self._layers):
            x = torch.baddbmm(bias, x, weight)
            if k < last:
                x = torch.relu(x)
        return x


class GaussianActor(nn.Module):
    """A Gaussian over actions in [-1, 1]: tanh of an MLP as its mean, one log std per action dimension."""

    def __init__(self, state_size: int, hidden: Sequence[int], action_size: int, generator: torch.Generator):
        super().__init__()
        self.net = EnsembleMLP(1, [state_size, *hidden, action_size], generator)
        with torch.no_grad():
            self.net.weights[-1].mul_(0.01)  # begin at the middle of the action range
        self.log_std = nn.Parameter(torch.zeros(action_size))

    def mean(self, states: Tensor) -> Tensor:
        """(B, S) normalised states to (B, A) in [-1, 1]."""
        return torch.tanh(self.net(states)[0])

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) log density of actions (B, A)."""
        log_std = self.log_std.clamp(*LOG_STD_RANGE)
        z = (actions - self.mean(states)) * torch.exp(-log_std)
        constant = 0.5 * math.log(2 * math.pi) * actions.shape[1]
        return -0.5 * z.square().sum(1) - (log_std.sum() + constant)

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The tensors of a checkpoint, as `PolicySpec.weight_shapes` names them."""
        weights = {"log_std": self.log_std.clamp(*LOG_STD_RANGE)}
        for k, (weight, bias) in enumerate(zip(self.net.weights, self.net.biases, strict=True)):
            weights |= {f"layer{k}.weight": weight[0], f"layer{k}.bias": bias[0, 0]}
        return {name: tensor.detach().numpy().copy() for name, tensor in weights.items()}
