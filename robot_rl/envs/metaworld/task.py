"""A Meta-World task: the arm's hand and one object, with the state, camera and words of its task card."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from robot_rl.envs.metaworld import behaviours
from robot_rl.envs.metaworld.observing import observe_directly
from robot_rl.envs.metaworld.things import THINGS, Thing
from robot_rl.envs.task_env import Act, TaskEnv
from robot_rl.errors import BadInput, nearest, need
from robot_rl.specs.tasks import TaskCard

mujoco = need("mujoco", "sim")
_FINGERS = ("rightpad", "leftpad")
# How `explore` moves: steps to each target, between pictures, and between resets.
_STEPS_PER_TARGET, _STEPS_PER_FRAME, _STEPS_PER_RESET = 20, 5, 400
_NEAR_SHARE = 0.7  # share of targets around the object; the rest lie anywhere in reach
_NEAR_SPREAD, _NEAR_CENTRE = np.array([0.04, 0.05, 0.06]), np.array([0.0, -0.01, 0.03])  # m


class MetaWorldTask(TaskEnv):
    """State: hand xyz (m), gripper opening, object xyz (m), and what its `Thing` adds; action (4,): hand
    displacement, gripper.

    The true reward is Meta-World's own (0 to 10).
    """

    behaviours = behaviours.NAMES

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        super().__init__(card, render_mode, size)
        name = self.scene(card)
        self._world, self._thing = _make_world(name), thing_of(card, name)
        known = 7 + self._thing.extras
        if len(card.state) > known:
            raise BadInput(f"{card.name}: state has {len(card.state)} parts, but {name} measures {known}")
        self._behaviours: behaviours.Behaviours | None = None

    @staticmethod
    def scene(card: TaskCard) -> str:
        """Meta-World's name of the scene."""
        return card.environment.partition(":")[2]

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
        self._raw[-3:] = self._world._target_pos
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
        self._raw[-3:] = self._world._target_pos  # Meta-World clips it to the bounds of a hidden goal: 0
        return float(reward), bool(info["success"]), {}

    def state(self) -> np.ndarray:
        """Hand, gripper and object, the first parts of Meta-World's observation, and what else there is."""
        count = len(self.card.state)
        return self._raw[:count] if count <= 7 else self._whole_state()[:count]

    def _whole_state(self) -> np.ndarray:
        return np.append(self._raw[:7], self._thing.extra(self._world))

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

    @property
    def home(self) -> np.ndarray:
        """Where Meta-World starts the hand (m)."""
        return np.asarray(self._world.hand_init_pos, np.float64)

    def way_home(self) -> Callable[[], np.ndarray | None]:
        """The hand's way to where an episode starts it, fingers open."""

        def act() -> np.ndarray | None:
            action = behaviours.homing(self.raw[:3], self.home)
            return action if action[:3].any() else None

        return act

    def continue_from(self, other: TaskEnv) -> None:
        """Take over the world that another task of the same scene left, to the last bit.

        Meta-World's own reset sets up what belongs to the task (its target) at the same place; then the
        physics of `other` replaces it. Raises BadInput where the scenes differ.
        """
        if not isinstance(other, MetaWorldTask) or type(other._world).model_name.fget(other._world) != (
            type(self._world).model_name.fget(self._world)
        ):
            raise BadInput(f"{self.card.name} and {other.card.name} have different scenes and share no world")
        self.take_up(other.leave())

    def leave(self) -> dict[str, np.ndarray]:
        """Where the scene stands, its physics, and the last observation."""
        world = self._world
        place, before = np.asarray(world._last_rand_vec, np.float64), world._prev_obs.copy()
        return {"place": place, "physics": state_of(world), "observed": before}

    def take_up(self, left: Mapping[str, np.ndarray]) -> None:
        """Set up what belongs to this task at the same place, then put the physics that was left."""
        world = self._world
        world._freeze_rand_vec, world._last_rand_vec = True, left["place"].copy()
        world.reset()
        world._freeze_rand_vec = False
        put_state(world, left["physics"])
        world._prev_obs = left["observed"].copy()
        world.curr_path_length, self.steps = 0, 0
        self._raw = np.concatenate(
            [world._get_curr_obs_combined_no_goal(), world._prev_obs, world._target_pos]
        )

    def object_moved(self) -> float:
        """How far the object stands from rest (m or rad); tells `undo` whether it has work."""
        return self._thing.moved(self._world)

    def quantities(self) -> dict[str, float]:
        """Measure what a card's scales may speak of (m): see each entry's comment."""
        data = self._world.data
        hand = self._world.get_endeff_pos()
        thing = self._raw[4:7] + np.asarray(self._thing.bar)
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
        return {**found, **self._thing.quantities(self._world)}

    def _scramble(self, rng: np.random.Generator) -> None:
        """Put the object into a random state and leave all else, to show a judge rare states."""
        data = self._world.data
        self._thing.place(self._world, rng)
        self._world.set_state(data.qpos.copy(), data.qvel.copy())
        self._raw = self._raw.copy()
        self._raw[4:7] = self._world._get_pos_objects()


def state_of(world: Any) -> np.ndarray:
    """Positions, velocities, inputs, time and the solver's start: all from which a world goes on the same."""
    whole = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(world.model, whole))
    mujoco.mj_getState(world.model, world.data, state, whole)
    return state


def put_state(world: Any, state: np.ndarray) -> None:
    """Put what `state_of` gave of a world of the same scene."""
    whole = mujoco.mjtState.mjSTATE_INTEGRATION
    mujoco.mj_setState(world.model, world.data, state, whole)
    mujoco.mj_forward(world.model, world.data)
    mujoco.mj_setState(world.model, world.data, state, whole)  # the solver's start, which forward moved


def thing_of(card: TaskCard, scene: str) -> Thing:
    """The object of a scene; raises BadInput where none is described in things.py."""
    if scene not in THINGS:
        raise BadInput(f"{card.name}: environment: nothing is known of the object in '{scene}'."
                       f"{nearest(scene, THINGS)} Others need an entry in things.py")  # fmt: skip
    return THINGS[scene]


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
    observe_directly(world)
    return world


def _target(thing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw where the hand goes next (m), around the object more often than elsewhere."""
    if rng.random() < _NEAR_SHARE:
        return thing + _NEAR_CENTRE + _NEAR_SPREAD * rng.normal(size=3)
    return rng.uniform(behaviours.REACH_LOW, behaviours.REACH_HIGH)


def make(card: TaskCard, render_mode: str | None = None, size: int | None = None) -> MetaWorldTask:
    """Make a card's environment; raises BadInput for a name that Meta-World does not have."""
    from robot_rl.envs.metaworld.peg_remove import NAME, PegRemove

    kind = PegRemove if card.environment.partition(":")[2] == NAME else MetaWorldTask
    return kind(card, render_mode, size)
