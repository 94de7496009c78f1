"""The networks that learners train: ensembles of MLPs, and the actors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

LOG_STD_RANGE = (-5.0, 2.0)
SQUASHED_LOG_STD_RANGE = (-20.0, 2.0)  # as in the code of SAC, Cal-QL and RLPD
LARGE, CACHED = 32_768, 131_072  # numbers in the activations of a hidden layer
ATANH_BOUND = 1 - 1e-6  # beyond it, the action before tanh would be infinite in float32


class EnsembleMLP(nn.Module):
    """`count` MLPs of the same sizes with ReLU between layers; small ones are computed together.

    A hidden layer may drop units and normalise the rest before its ReLU, in this order, as in DroQ
    (Hiraoka et al., 2022, arXiv:2110.02034) and RLPD (Ball et al., 2023, arXiv:2302.02948).
    """

    def __init__(
        self,
        count: int,
        sizes: Sequence[int],
        generator: torch.Generator,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ):
        """Orthogonal weights with gain sqrt(2) and zero biases; `sizes` are input, hidden…, output."""
        super().__init__()
        self.dropout = dropout  # share of a hidden layer's units
        self._width = max(sizes[1:])
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size_in, size_out in zip(sizes[:-1], sizes[1:], strict=True):
            weight = torch.empty(count, size_in, size_out)
            for one in weight:
                nn.init.orthogonal_(one, gain=math.sqrt(2), generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(count, 1, size_out)))
        hidden = sizes[1:-1] if layer_norm else []
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(count, 1, size)) for size in hidden)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(count, 1, size)) for size in hidden)
        # Looking parameters up in nn.Module costs as much as a small product.
        norms = list(zip(self.scales, self.shifts, strict=True))
        norms += [()] * (len(self.weights) - len(norms))
        self._layers = [(*pair, *norm) for *pair, norm in zip(self.weights, self.biases, norms, strict=True)]

    def forward(
        self,
        x: Tensor,
        *,
        members: Tensor | None = None,
        frozen: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """(B, in) to (count, B, out); `members` (M,) int64 computes only these MLPs, to (M, B, out).

        `frozen` lets gradients through to `x` but not to the parameters. Units are dropped only where a
        generator is given.
        """
        layers = self._layers
        if frozen:
            layers = [tuple(p.detach() for p in layer) for layer in layers]
        if members is not None:
            layers = [tuple(p.index_select(0, members) for p in layer) for layer in layers]
        if len(x) * self._width < LARGE:
            return self._chain(x.expand(len(layers[0][0]), *x.shape), layers, generator)
        # One member after the other, some rows after the others, is faster here: the activations are still in
        # the processor's cache, and the norm is one kernel.
        parts = x.split(max(1, CACHED // self._width))
        ones = zip(*(zip(*map(torch.unbind, layer), strict=True) for layer in layers), strict=True)
        return torch.stack([torch.cat([self._chain(part, one, generator) for part in parts]) for one in ones])

    def _chain(
        self, x: Tensor, layers: Sequence[tuple[Tensor, ...]], generator: torch.Generator | None
    ) -> Tensor:
        """All members (count, B, in) at once, or one of them (B, in), through weight, bias and norm."""
        product = torch.baddbmm if x.dim() == 3 else torch.addmm
        for weight, bias, *norm in layers[:-1]:
            x = product(bias, x, weight)
            if self.dropout and generator is not None:
                x = drop(x, self.dropout, generator)
            if norm:
                x = layer_norm(x, *norm)
            x = torch.relu_(x)  # in place: nothing before it needs its own output to go backward
        weight, bias = layers[-1]
        return product(bias, x, weight)


def layer_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """LayerNorm of (B, H), scale and shift (1, H), or of (count, B, H), these (count, 1, H)."""
    if x.dim() == 2:
        return nn.functional.layer_norm(x, x.shape[-1:], scale[0], shift[0])
    return torch.addcmul(shift, nn.functional.layer_norm(x, x.shape[-1:]), scale)


def drop(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Dropout with a generator, so that a run can be repeated: zeros for a share of `x`, the rest scaled."""
    keep = torch.empty_like(x).bernoulli_(1 - share, generator=generator)
    return x * keep.mul_(1 / (1 - share))


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
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in weights.items()}


class SquashedGaussianActor(nn.Module):
    """SAC's actor: tanh of a Gaussian whose mean and log std both depend on the state."""

    def __init__(
        self,
        state_size: int,
        hidden: Sequence[int],
        action_size: int,
        generator: torch.Generator,
        initial_log_std: float = 0.0,
    ):
        super().__init__()
        self.state_size, self.action_size = state_size, action_size
        self.net = EnsembleMLP(1, [state_size, *hidden, 2 * action_size], generator)
        with torch.no_grad():
            self.net.weights[-1].mul_(0.01)  # begin at the middle of the action range
            self.net.biases[-1][..., action_size:] = initial_log_std

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) normalised states to mean and log std (B, A) of the Gaussian before tanh."""
        mean, log_std = self.net(states)[0].split(self.action_size, 1)
        return mean, log_std.clamp(*SQUASHED_LOG_STD_RANGE)

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) log density of actions (B, A) in [-1, 1]."""
        mean, log_std = self(states)
        before_tanh = torch.atanh(actions.clamp(-ATANH_BOUND, ATANH_BOUND))
        return log_density(before_tanh, (before_tanh - mean) * torch.exp(-log_std), log_std)

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The tensors of a checkpoint, which deploys tanh(mean).

        A checkpoint has one log std an action, so `log_std` (A,) is the mean over 256 standard normal states,
        which is how standardised states lie; sampling as in training takes the learner itself.
        """
        with torch.no_grad():
            states = torch.randn(256, self.state_size, generator=torch.Generator().manual_seed(0))
            weights = {"log_std": self(states)[1].mean(0)}
        for k, (weight, bias) in enumerate(zip(self.net.weights, self.net.biases, strict=True)):
            weights |= {f"layer{k}.weight": weight[0], f"layer{k}.bias": bias[0, 0]}
        for name in (f"layer{k}.weight", f"layer{k}.bias"):  # the last layer, without its half for log std
            weights[name] = weights[name][..., : self.action_size]
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in weights.items()}


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions tanh(mean + std noise) (..., B, A) and their log densities (..., B).

    Mean and log std are (B, A), noise is standard normal (..., B, A): n samples of all states at once.
    """
    before_tanh = mean + torch.exp(log_std) * noise
    return torch.tanh(before_tanh), log_density(before_tanh, noise, log_std)


def log_density(before_tanh: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """log N(noise) - log std - log(1 - tanh²(before_tanh)), summed over A (SAC, arXiv:1812.05905, app. C)."""
    # log(1 - tanh²(u)) = 2 (log 2 - u - softplus(-2 u)), which does not lose its digits where tanh is near 1.
    slope = 2 * (math.log(2) - before_tanh - nn.functional.softplus(-2 * before_tanh))
    return -(0.5 * noise.square() + 0.5 * math.log(2 * math.pi) + log_std + slope).sum(-1)
