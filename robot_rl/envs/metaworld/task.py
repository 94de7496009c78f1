"""A Meta-World task: the arm's hand and one object, with the state, camera and words of its task card."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from robot_rl.envs.metaworld import behaviours
from robot_rl.envs.task_env import Act, TaskEnv
from robot_rl.errors import BadInput, nearest, need
from robot_rl.specs.tasks import TaskCard

_FINGERS = ("rightpad", "leftpad")
# How `explore` moves: steps to each target, between pictures, and between resets.
_STEPS_PER_TARGET, _STEPS_PER_FRAME, _STEPS_PER_RESET = 20, 5, 400
_NEAR_SHARE = 0.7  # share of targets around the object; the rest lie anywhere in reach
_NEAR_SPREAD, _NEAR_CENTRE = np.array([0.04, 0.05, 0.06]), np.array([0.0, -0.01, 0.03])  # m


class MetaWorldTask(TaskEnv):
    """State (7,): hand xyz (m), gripper opening, object xyz (m); action (4,): hand displacement, gripper.

    The true reward is Meta-World's own (0 to 10).
    """

    behaviours = behaviours.NAMES

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        super().__init__(card, render_mode, size)
        self._world = _make_world(card.environment.partition(":")[2])
        self._behaviours: behaviours.Behaviours | None = None

    @property
    def model(self) -> Any:
        """The scene, an MjModel."""
        return self._world.model

    @property
    def data(self) -> Any:
        """The scene's state, an MjData."""
        return self._world.data

    def begin(self, options: Mapping[str, Any]) -> None:
        """Reset Meta-World; `random_start` applies the card's `start`."""
        self._world.seed(int(self.np_random.integers(2**31)))
        self._raw, _ = self._world.reset()
        if options.get("random_start") and self.card.start is not None:
            self._randomise_start()

    def _randomise_start(self) -> None:
        start, world = self.card.start, self._world
        if self.np_random.random() >= start.probability:
            return
        world.data.joint(start.joint).qpos[:] = self.np_random.uniform(start.low, start.high)
        world.data.joint(start.joint).qvel[:] = 0.0
        world.set_state(world.data.qpos.copy(), world.data.qvel.copy())
        self.advance(np.zeros(4, np.float32))

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Move the hand's set-point for one control period."""
        self._world.curr_path_length = 0  # the card, not Meta-World's own limit, ends an episode
        self._raw, reward, _, _, info = self._world.step(action)
        return float(reward), bool(info["success"]), {}

    def state(self) -> np.ndarray:
        """Hand, gripper and object, the first parts of Meta-World's observation."""
        return self._raw[: len(self.card.state)]

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """Draw one of `behaviours` for a segment of an episode."""
        if self._behaviours is None:
            self._behaviours = behaviours.Behaviours(self)
        return self._behaviours.draw(name, rng)

    def explore(self, rng: np.random.Generator) -> Iterator[None]:
        """Send the hand to random places, more often around the object, and set the object's joint anew."""
        step = 0
        while True:
            if step % _STEPS_PER_RESET == 0:
                self.reset(seed=int(rng.integers(2**31)))
            if step % _STEPS_PER_TARGET == 0:
                target, grip = _target(self.raw[4:7], rng), rng.choice([-1.0, 1.0])
            self.step(np.append(behaviours.GAIN * (target - self.raw[:3]), grip))
            step += 1
            if step % _STEPS_PER_FRAME == 0:
                self._scramble(rng)
                yield

    @property
    def raw(self) -> np.ndarray:
        """Meta-World's own (39,) observation, which its scripted experts read."""
        return self._raw

    def object_moved(self) -> float:
        """How far the start joint stands from rest (m), 0 without one; tells `undo` whether it has work."""
        start = self.card.start
        return 0.0 if start is None else abs(float(self._world.data.joint(start.joint).qpos[0]))

    def quantities(self) -> dict[str, float]:
        """Measure what a card's scales may speak of (m): see each entry's comment."""
        data = self._world.data
        hand = self._world.get_endeff_pos()
        thing = self._raw[4:7] + np.asarray(_BAR_OFFSET.get(self.card.name, (0.0, 0.0, 0.0)))
        across, along, height = hand - thing
        fingers = sorted(float(data.body(name).xpos[1] - thing[1]) for name in _FINGERS)
        found = {
            "horizontal": float(np.hypot(across, along)),  # hand to object, seen from above
            "sideways": abs(float(across)),
            "along": float(along),  # negative: the hand is on the robot's side of the object
            "height": float(height),  # of the hand above the object
            "front_finger": fingers[0],  # negative: on the robot's side of the object
            "rear_finger": fingers[1],
        }
        return {**found, **self._object_quantities()}

    def _object_quantities(self) -> dict[str, float]:
        joint = _OBJECT_JOINT[self.card.environment]
        return {joint[1]: abs(float(self._world.data.joint(joint[0]).qpos[0]))}

    def _scramble(self, rng: np.random.Generator) -> None:
        """Put the object's joint somewhere on its range and leave all else, to show a judge rare states."""
        name, _, low, high = _OBJECT_JOINT[self.card.environment]
        data = self._world.data
        data.joint(name).qpos[:] = 0.0 if rng.random() < 0.35 else rng.uniform(low, high)
        data.joint(name).qvel[:] = 0.0
        self._world.set_state(data.qpos.copy(), data.qvel.copy())
        self._raw = self._raw.copy()
        self._raw[4:7] = self._world._get_pos_objects()


# What the object's joint is called, the quantity it measures, and the positions it can take (m).
_OBJECT_JOINT = {
    "metaworld:drawer-open-v3": ("goal_slidey", "opening", -0.20, 0.0),
    "metaworld:drawer-close-v3": ("goal_slidey", "opening", -0.20, 0.0),
    "metaworld:button-press-topdown-v3": ("btnbox_joint", "pressed", -0.08, 0.0),
}
# drawer-close names a point above the handle's bar; words speak of the bar itself.
_BAR_OFFSET = {"drawer_close": (0.0, 0.0, -0.05)}


def _make_world(name: str) -> Any:
    """Make Meta-World's environment with seeded, visible, unfrozen goals; BadInput for unknown names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worlds = need("metaworld.env_dict", "sim").ALL_V3_ENVIRONMENTS
        if name not in worlds:
            raise BadInput(f"environment: Meta-World has no '{name}'.{nearest(name, worlds)}")
        world = worlds[name]()
    world._partially_observable = False
    world._freeze_rand_vec = False
    world._set_task_called = True
    world.seeded_rand_vec = True  # without it resets draw from NumPy's global state
    return world


def _target(thing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw where the hand goes next (m), around the object more often than elsewhere."""
    if rng.random() < _NEAR_SHARE:
        return thing + _NEAR_CENTRE + _NEAR_SPREAD * rng.normal(size=3)
    return rng.uniform(behaviours.REACH_LOW, behaviours.REACH_HIGH)


def make(card: TaskCard, render_mode: str | None = None, size: int | None = None) -> MetaWorldTask:
    """Make a card's environment; raises BadInput for a name that Meta-World does not have."""
    return MetaWorldTask(card, render_mode, size)
