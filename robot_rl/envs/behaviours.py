"""What the arm does while data is collected: segments of scripted, random and noisy behaviour."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from robot_rl.envs.metaworld_task import MetaWorldTask
from robot_rl.errors import BadInput, nearest, need
from robot_rl.specs.dataset_cards import Behaviour

# Where a hand may be sent (m): the reach of the arm over the table, in the scene's frame.
REACH_LOW, REACH_HIGH = np.array([-0.3, 0.45, 0.06]), np.array([0.3, 0.85, 0.45])
_RETREAT = np.array([0.0, 0.6, 0.3])  # m
_GAIN = 10.0  # action per m of distance; saturates at 10 cm
_WANDER_KEEP, _WANDER_STEP = 0.85, 0.4  # Ornstein–Uhlenbeck noise on the action
_MOVED = 0.02  # m; below this `undo` has nothing to undo

Act = Callable[[np.ndarray], np.ndarray]  # Meta-World's raw observation (39,) -> action (4,)


class Player:
    """Draws a behaviour for each segment of an episode and plays it; all randomness is `rng`'s."""

    def __init__(self, env: MetaWorldTask, behaviour: Behaviour, rng: np.random.Generator) -> None:
        self._env, self._behaviour, self._rng = env, behaviour, rng
        self._names = sorted(behaviour.mix)
        weights = np.array([behaviour.mix[name] for name in self._names])
        self._weights = weights / weights.sum()
        card = env.card
        self._expert = scripted(card.expert)
        self._undo = scripted(card.undo) if card.undo else None
        if self._undo is None and "undo" in behaviour.mix:
            raise BadInput(f"{card.name}: behaviour 'undo' needs the field 'undo' in the task card")
        self._offset = np.zeros(39)
        self._offset[4:7] = card.undo_object_offset
        self._left = 0

    def __call__(self) -> np.ndarray:
        """Return the next action, (4,) float32 in ±1."""
        if self._left == 0:
            self._draw()
        self._left -= 1
        action = np.clip(self._act(self._env.raw), -1.0, 1.0)
        action = action + self._sigma * self._rng.normal(size=4)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def _draw(self) -> None:
        """Choose what to do next, for how long, and how shakily."""
        rng, shape = self._rng, self._behaviour
        self._left = int(rng.integers(shape.segment[0], shape.segment[1] + 1))
        name = self._names[rng.choice(len(self._names), p=self._weights)]
        if name == "undo" and self._env.object_moved() < _MOVED:
            name = "goal"
        target = rng.uniform(REACH_LOW, REACH_HIGH) if name == "goal" else _RETREAT
        grip = rng.choice([-1.0, 1.0])
        self._sigma = rng.uniform(*shape.noise) if rng.random() < shape.noisy else 0.0
        self._wander = np.zeros(4)
        self._act = {
            "expert": self._expert,
            "undo": lambda raw: self._undo(raw + self._offset),
            "wander": self._wandering,
        }.get(name, lambda raw: np.append(_GAIN * (target - raw[:3]), grip))

    def _wandering(self, raw: np.ndarray) -> np.ndarray:
        self._wander = _WANDER_KEEP * self._wander + _WANDER_STEP * self._rng.normal(size=4)
        return self._wander


def scripted(name: str) -> Act:
    """Return Meta-World's scripted policy for an environment; raises BadInput for unknown names."""
    policies = need("metaworld.policies", "sim").ENV_POLICY_MAP
    if name not in policies:
        raise BadInput(f"expert: Meta-World has no policy '{name}'.{nearest(name, policies)}")
    policy = policies[name]()

    def act(raw: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():  # it warns at every step that its gains saturate
            warnings.simplefilter("ignore")
            return np.asarray(policy.get_action(raw), np.float64)

    return act
