"""The policy that runs on the robot: numpy only, from a checkpoint folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicySpec, load_checkpoint


class Policy(Protocol):
    """Chooses actions; every implementation passes tests/policies/conformance.py."""

    spec: PolicySpec

    def act(self, observation: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
        """Choose the action (A,) for a state (S,), or (B, A) for (B, S), in the spec's units and limits."""

    def reset(self) -> None:
        """Forget the past, at the start of an episode."""


class MlpPolicy:
    """The mean of a tanh Gaussian, deterministic and within the action limits."""

    def __init__(self, weights: Mapping[str, np.ndarray], spec: PolicySpec):
        self.spec = spec
        count = len(spec.hidden) + 1
        self._layers = [(weights[f"layer{k}.weight"], weights[f"layer{k}.bias"]) for k in range(count)]
        self._mean, self._std = spec.observation_mean, spec.observation_std
        self._low, self._high = np.float32(spec.action_low), np.float32(spec.action_high)

    @classmethod
    def load(cls, folder: str | Path) -> MlpPolicy:
        """Load the policy of a checkpoint folder; raises BadInput, also for one that sees pictures."""
        weights, spec = load_checkpoint(folder)
        if spec.images:
            seen = ", ".join(image.key for image in spec.images)
            raise BadInput(
                f"{folder}: its policy sees pictures ({seen}), not just the state; use load_policy"
            )
        return cls(weights, spec)

    def act(self, observation: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
        """Choose the action (A,) float32 for a state (S,), or (B, A) for (B, S), in the spec's units.

        An observation is the state itself or a mapping with "state". Raises BadInput for a wrong size or a
        value that is not finite, so that no command is computed from it.
        """
        return self.act_on(checked_state(observation, self.spec.state_names))

    def act_on(self, numbers: np.ndarray) -> np.ndarray:
        """The actions (..., A) for what the network sees (..., S + D): state, then pictures' features."""
        return denormalise(self._squashed(numbers), self._low, self._high)

    def reset(self) -> None:
        """Nothing to forget."""

    def _squashed(self, numbers: np.ndarray) -> np.ndarray:
        """The action in [-1, 1]."""
        x = (numbers - self._mean) / self._std
        for k, (weight, bias) in enumerate(self._layers):
            x = x @ weight + bias
            if k < len(self._layers) - 1:
                x = np.maximum(x, 0)
        return np.tanh(x)


def checked_state(
    observation: Mapping[str, np.ndarray] | np.ndarray, state_names: tuple[str, ...]
) -> np.ndarray:
    """The state (S,) or (B, S) float32 of an observation; raises BadInput."""
    state = observation
    if isinstance(observation, Mapping):
        if "state" not in observation:
            raise BadInput(f"observation has no 'state'; it has {', '.join(sorted(observation)) or None}")
        state = observation["state"]
    state, size = np.asarray(state, np.float32), len(state_names)
    if state.ndim not in (1, 2) or state.shape[-1] != size:
        raise BadInput(f"state has shape {state.shape}; the policy takes ({size},) or (B, {size})")
    if not np.isfinite(state).all():
        raise BadInput(f"state '{state_names[int(np.argwhere(~np.isfinite(state))[0][-1])]}' is not finite")
    return state


def normalise(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Bring actions (..., A) from their units to [-1, 1]; values beyond the limits come out beyond ±1."""
    return ((actions - low) / (high - low) * 2 - 1).astype(np.float32)


def denormalise(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Bring actions (..., A) from [-1, 1] to their units, never outside the limits."""
    return np.clip(low + (actions + 1) / 2 * (high - low), low, high).astype(np.float32)
