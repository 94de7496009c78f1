"""A robosuite task: Panda or UR5e under operational-space control, with the state and words of its card."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from robot_rl.envs.robosuite.scenes import SCENES, TABLE, Scene, hand, upright
from robot_rl.envs.robosuite.scripts import EXPERTS, servo
from robot_rl.envs.task_env import Act, TaskEnv
from robot_rl.errors import BadInput, nearest, need
from robot_rl.specs.tasks import TaskCard

ROBOTS = ("Panda", "UR5e")
OPTIONS = {"robot": str, "use_latch": bool}
# Where a hand may be sent (m) in the scene's frame.
_LOW, _HIGH = np.array([-0.25, -0.25, TABLE + 0.02]), np.array([0.2, 0.25, TABLE + 0.3])
_RETREAT = np.array([-0.15, 0.0, TABLE + 0.25])
_SHOWN = 1  # group of the shapes that are drawn; the others are for collisions and marks
_STEPS_PER_TARGET, _STEPS_PER_FRAME, _STEPS_PER_RESET = 8, 3, 150
_NEAR_SHARE, _NEAR_SPREAD = 0.7, 0.05  # of `explore`: share of targets around the object, and how far (m)
_HAND_PARTS = 8  # position, quaternion, first finger joint


class RobosuiteTask(TaskEnv):
    """State: hand xyz (m), quaternion xyzw, first finger joint, then the object's; action (7,): hand
    displacement (±5 cm), turn (±0.5 rad) in the base's frame, fingers (1 closes).

    The true reward is robosuite's shaped one (0 to 1).
    """

    behaviours = ("expert", "goal", "wander", "retreat")

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        super().__init__(card, render_mode, size)
        self._scene = scene_of(card)
        known = _HAND_PARTS + self._scene.extras
        if len(card.state) != known:
            raise BadInput(f"{card.name}: state has {len(card.state)} parts, but this scene measures {known}")
        self._world = _make_world(card)

    @property
    def model(self) -> Any:
        """The scene, an MjModel."""
        return self._world.sim.model._model

    @property
    def data(self) -> Any:
        """The scene's state, an MjData."""
        return self._world.sim.data._data

    def begin(self, options: Mapping[str, Any]) -> None:
        """Reset robosuite; its samplers all hold the generator whose state is set here."""
        seed = int(self.np_random.integers(2**31))
        self._world.rng.bit_generator.state = np.random.PCG64(seed).state
        self._world.reset()

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Ask for a displacement of the hand for one control period."""
        _, reward, _, _ = self._world.step(action.astype(np.float64))
        return float(reward), bool(self._world._check_success()), {}

    def state(self) -> np.ndarray:
        """Hand, fingers and object."""
        robot, data = self._world.robots[0], self.data
        eef = data.body(robot.robot_model.eef_name["right"])
        finger = data.qpos[robot._ref_gripper_joint_pos_indexes["right"][0]]
        turn = upright(np.roll(eef.xquat, -1))
        return np.concatenate([hand(self._world), turn, [finger], self._scene.state(self._world)])

    def senses(self) -> dict[str, float]:
        """Angles of the arm's joints (rad), from its base on."""
        places = self._world.robots[0]._ref_joint_pos_indexes
        return {f"joint{k}_q": float(self.data.qpos[place]) for k, place in enumerate(places, start=1)}

    def quantities(self) -> dict[str, float]:
        """Measure what a card's scales may speak of (m): the hand to where it takes hold, and the object."""
        across, along, height = hand(self._world) - self._scene.grasp(self._world)
        found = {
            "horizontal": float(np.hypot(across, along)),  # seen from above
            "height": float(height),  # of the finger tips above the grasp
        }
        return {**found, **self._scene.quantities(self._world)}

    def explore(self, rng: np.random.Generator) -> Iterator[None]:
        """Send the hand to random places, more often around the object, and put the object somewhere anew."""
        step = 0
        while True:
            if step % _STEPS_PER_RESET == 0:
                self.reset(seed=int(rng.integers(2**31)))
            if step % _STEPS_PER_TARGET == 0:
                target, grip = self._target(rng), rng.choice([-1.0, 1.0])
            self.step(servo(self._world, target, grip))
            step += 1
            if step % _STEPS_PER_FRAME == 0:
                self._scene.place(self._world, rng)
                self._world.sim.forward()
                yield

    def _target(self, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < _NEAR_SHARE:
            return self._scene.grasp(self._world) + (0.0, 0.0, 0.03) + _NEAR_SPREAD * rng.normal(size=3)
        return rng.uniform(_LOW, _HIGH)

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """Draw one of `behaviours` for a segment of an episode."""
        world = self._world
        if name == "expert":
            return EXPERTS[self._scene.name](world)
        if name == "wander":
            return _wandering(rng)
        target = rng.uniform(_LOW, _HIGH) if name == "goal" else _RETREAT
        grip = float(rng.choice([-1.0, 1.0]))
        return lambda: servo(world, target, grip)


def _wandering(rng: np.random.Generator) -> Act:
    """Ornstein–Uhlenbeck noise on the action."""
    drift = np.zeros(7)

    def act() -> np.ndarray:
        drift[:] = 0.8 * drift + 0.4 * rng.normal(size=7)
        return drift

    return act


def scene_of(card: TaskCard) -> Scene:
    """The scene of a card, its options checked; raises BadInput."""
    name = card.environment.partition(":")[2]
    if name not in SCENES:
        raise BadInput(f"environment: no scene '{name}' of robosuite.{nearest(name, SCENES)}")
    for option, value in card.options.items():
        if option not in OPTIONS:
            raise BadInput(f"{card.name}: options: unknown '{option}'.{nearest(option, OPTIONS)}")
        if not isinstance(value, OPTIONS[option]):
            raise BadInput(
                f"{card.name}: options.{option}: must be {OPTIONS[option].__name__}, not {value!r}"
            )
    robot = card.options.get("robot")
    if robot not in ROBOTS:
        raise BadInput(f"{card.name}: options.robot: no '{robot}'.{nearest(str(robot), ROBOTS)}")
    return SCENES[name]


def _make_world(card: TaskCard) -> Any:
    """Make robosuite's environment, its own cameras off; what the card's seed does not decide is fixed."""
    with _quiet():
        robosuite = need("robosuite", "robosuite")
        more = {key: value for key, value in card.options.items() if key != "robot"}
        world = robosuite.make(
            card.environment.partition(":")[2],
            robots=card.options["robot"],
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            use_object_obs=False,
            hard_reset=False,
            ignore_done=True,
            reward_shaping=True,
            control_freq=card.control_rate,
            seed=0,
            **more,
        )
    model = world.sim.model._model
    hidden = model.geom_group != _SHOWN
    model.geom_rgba[hidden, 3], model.geom_matid[hidden] = 0.0, -1
    return world


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without robosuite's notes on files that a user may write and robots that are not used here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def make(card: TaskCard, render_mode: str | None = None, size: int | None = None) -> RobosuiteTask:
    """Make a card's environment; raises BadInput for what robosuite does not have, or without it."""
    return RobosuiteTask(card, render_mode, size)
