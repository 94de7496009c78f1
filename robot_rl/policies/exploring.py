"""A deployed policy with the noise that its learner explores with; numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robot_rl.policies.checkpoint import PolicySpec, load_checkpoint
from robot_rl.policies.policy import MlpPolicy, denormalise, normalise

_SQUASHED = ("calql", "rlpd")  # their Gaussian lies before the tanh, that of the others after it
_BOUND = 1 - 1e-6  # of actions whose place before the tanh is asked for


class ExploringPolicy:
    """Draws actions as training does, with the checkpoint's one standard deviation an action.

    `noise` multiplies it: 0 is the policy as it is deployed.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], spec: PolicySpec, noise: float = 1.0) -> None:
        self.spec: PolicySpec = spec
        self._policy, self._std = MlpPolicy(weights, spec), noise * np.exp(weights["log_std"])
        self._limits = np.float32(spec.action_low), np.float32(spec.action_high)
        self._squashed = spec.algorithm in _SQUASHED

    @classmethod
    def load(cls, folder: str | Path, noise: float = 1.0) -> ExploringPolicy:
        """Load a checkpoint of states; raises BadInput."""
        MlpPolicy.load(folder)  # refuses one that sees pictures
        return cls(*load_checkpoint(folder), noise)

    def act(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the action (A,) for a state (S,), in the spec's units and limits."""
        mean = normalise(self._policy.act(state), *self._limits)
        noise = self._std * rng.normal(size=mean.shape)
        if self._squashed:
            action = np.tanh(np.arctanh(np.clip(mean, -_BOUND, _BOUND)) + noise)
        else:
            action = np.clip(mean + noise, -1, 1)
        return denormalise(action, *self._limits)
