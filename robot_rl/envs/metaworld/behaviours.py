"""What the Sawyer arm may do while data is collected: scripted, aimless and backward behaviour."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from robot_rl.envs.metaworld.scripts import OWN
from robot_rl.envs.task_env import Act
from robot_rl.errors import BadInput, nearest, need

if TYPE_CHECKING:
    from robot_rl.envs.metaworld.task import MetaWorldTask

NAMES = ("expert", "goal", "wander", "undo", "retreat", "home")
# Where a hand may be sent (m): the reach of the arm over the table, in the scene's frame.
REACH_LOW, REACH_HIGH = np.array([-0.3, 0.45, 0.06]), np.array([0.3, 0.85, 0.45])
GAIN = 10.0  # action per m of distance; saturates at 10 cm
_RETREAT = np.array([0.0, 0.6, 0.3])  # m
_WANDER_KEEP, _WANDER_STEP = 0.85, 0.4  # Ornstein–Uhlenbeck noise on the action
_HIGH = 0.35  # m, above all that stands on the table
_HOME = 0.03  # m, as near as home is reached
_MOVED = 0.02  # m (or rad); below this `undo` has nothing to undo


class Behaviours:
    """Draws the behaviours of one environment; `undo` needs the card's field of that name."""

    def __init__(self, env: MetaWorldTask) -> None:
        self._env = env
        self._expert = scripted(env.card.expert)
        self._undo = scripted(env.card.undo) if env.card.undo else None
        self._offset = np.zeros(39)
        self._offset[4:7] = env.card.undo_object_offset
        self._offset[36:39] = env.card.undo_goal_offset

    def draw(self, name: str, rng: np.random.Generator) -> Act:
        """Draw a behaviour for one segment."""
        env = self._env
        if name == "undo" and self._undo is None:
            raise BadInput(f"{env.card.name}: behaviour 'undo' needs the field 'undo' in the task card")
        if name == "home":
            return lambda: homing(env.raw[:3], env.home)
        if name == "undo" and env.object_moved() < _MOVED:
            name = "goal"
        target = rng.uniform(REACH_LOW, REACH_HIGH) if name == "goal" else _RETREAT
        grip = rng.choice([-1.0, 1.0])
        if name == "expert":
            return lambda: self._expert(env.raw)
        if name == "undo":
            return lambda: self._undo(env.raw + self._offset)
        if name == "wander":
            return _wandering(rng)
        return lambda: np.append(GAIN * (target - env.raw[:3]), grip)


def homing(hand: np.ndarray, home: np.ndarray) -> np.ndarray:
    """Up, over and down to `home` (m), fingers open; the way is 0 once there."""
    away = np.linalg.norm((home - hand)[:2])
    if away < _HOME and abs(home[2] - hand[2]) < _HOME:
        return np.array([0.0, 0.0, 0.0, -1.0])
    if away >= _HOME and hand[2] < _HIGH - _HOME:
        return np.array([0.0, 0.0, 1.0, -1.0])
    target = np.array([*home[:2], _HIGH if away >= _HOME else home[2]])
    return np.append(GAIN * (target - hand), -1.0)


def _wandering(rng: np.random.Generator) -> Act:
    drift = np.zeros(4)

    def act() -> np.ndarray:
        drift[:] = _WANDER_KEEP * drift + _WANDER_STEP * rng.normal(size=4)
        return drift

    return act


def scripted(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return Meta-World's scripted policy for an environment, raw observation (39,) to action (4,).

    Raises BadInput for unknown names.
    """
    if name in OWN:
        return OWN[name]
    policies = need("metaworld.policies", "sim").ENV_POLICY_MAP
    if name not in policies:
        raise BadInput(f"expert: Meta-World has no policy '{name}'.{nearest(name, [*policies, *OWN])}")
    policy = policies[name]()

    def act(raw: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():  # it warns at every step that its gains saturate
            warnings.simplefilter("ignore")
            return np.asarray(policy.get_action(raw.copy()), np.float64)  # some write into what they read

    return act
