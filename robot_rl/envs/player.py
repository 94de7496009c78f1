"""Plays while data is collected: segments of a family's behaviours, some of them shaky."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.envs.task_env import Act, TaskEnv
from robot_rl.errors import BadInput
from robot_rl.specs.dataset_cards import Behaviour

if TYPE_CHECKING:
    from robot_rl.policies.policy import Policy

POLICY = "policy"  # the behaviour that a checkpoint plays


class Player:
    """Draws a behaviour for each segment of an episode and plays it; all randomness is `rng`'s."""

    def __init__(
        self, env: TaskEnv, behaviour: Behaviour, rng: np.random.Generator, policy: Policy | None = None
    ) -> None:
        self._env, self._behaviour, self._rng, self._policy = env, behaviour, rng, policy
        self._names = sorted(behaviour.mix)
        for name in self._names:
            if name != POLICY:
                env.known_behaviour(name)
            elif policy is None:
                raise BadInput(f"behaviour.mix: '{POLICY}' needs a checkpoint; give one with --policy")
        weights = np.array([behaviour.mix[name] for name in self._names])
        self._weights = weights / weights.sum()
        self._left = 0

    def __call__(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the next action, (A,) float32 in ±1; only a policy looks at the observation."""
        self._seen = observation
        if self._left == 0:
            self._draw()
        self._left -= 1
        action = np.clip(self._act(), -1.0, 1.0)
        action = action + self._sigma * self._rng.normal(size=len(action))
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def _draw(self) -> None:
        """Choose what to do next, for how long, and how shakily."""
        rng, shape = self._rng, self._behaviour
        self._left = int(rng.integers(shape.segment[0], shape.segment[1] + 1))
        name = self._names[rng.choice(len(self._names), p=self._weights)]
        self._act = self._policy_act() if name == POLICY else self._env.behave(name, rng)
        self._sigma = rng.uniform(*shape.noise) if rng.random() < shape.noisy else 0.0

    def _policy_act(self) -> Act:
        policy = self._policy
        policy.reset()
        return lambda: policy.act(self._seen)
