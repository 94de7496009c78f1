"""A Meta-World task behind Gymnasium's interface, with the state, camera and words of its task card."""

from __future__ import annotations

import warnings
from typing import Any

from robot_rl.envs.rendering import CardCamera  # sets MUJOCO_GL before the first mujoco import
from robot_rl.errors import BadInput, nearest, need
from robot_rl.specs.tasks import TaskCard

gymnasium = need("gymnasium", "sim")
import numpy as np  # noqa: E402

_FINGERS = ("rightpad", "leftpad")


class MetaWorldTask(gymnasium.Env):
    """Observation {"state": (7,) float32: hand xyz (m), gripper opening, object xyz (m)}; action (4,) in ±1.

    The true reward is Meta-World's own (0 to 10); `info["success"]` is its success test at this step.
    `reset(seed=s)` alone decides all randomness of the episode, whatever happened before.
    """

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        self.card, self.render_mode, self._size = card, render_mode, size
        self.metadata = {**self.metadata, "render_fps": round(card.control_rate)}
        self._world = _make_world(card.environment.partition(":")[2])
        self._camera: CardCamera | None = None
        self.steps = 0
        high = np.full(len(card.state), np.inf, np.float32)
        box = gymnasium.spaces.Box(-high, high, dtype=np.float32)
        self.observation_space = gymnasium.spaces.Dict({"state": box})
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(card.actions),), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode; `options={"random_start": True}` applies the card's `start`."""
        super().reset(seed=seed)
        world = self._world
        world.seed(int(self.np_random.integers(2**31)))
        raw, _ = world.reset()
        self.steps = 0
        if (options or {}).get("random_start") and self.card.start is not None:
            raw = self._randomise_start(raw)
        self._raw = raw
        return self._observation(), {"success": False}

    def _randomise_start(self, raw: np.ndarray) -> np.ndarray:
        start, world = self.card.start, self._world
        if self.np_random.random() >= start.probability:
            return raw
        world.data.joint(start.joint).qpos[:] = self.np_random.uniform(start.low, start.high)
        world.data.joint(start.joint).qvel[:] = 0.0
        world.set_state(world.data.qpos.copy(), world.data.qvel.copy())
        return self._advance(np.zeros(4, np.float32))[0]

    def _advance(self, action: np.ndarray) -> tuple:
        self._world.curr_path_length = 0  # the card, not Meta-World's own limit, ends an episode
        return self._world.step(action)

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move the hand's set-point for one control period; actions beyond ±1 are clipped."""
        action = np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        self._raw, reward, _, _, info = self._advance(action)
        self.steps += 1
        truncated = self.steps >= self.card.episode_length
        return self._observation(), float(reward), False, truncated, {"success": bool(info["success"])}

    def _observation(self) -> dict[str, np.ndarray]:
        return {"state": self._raw[: len(self.card.state)].astype(np.float32)}

    @property
    def raw(self) -> np.ndarray:
        """Meta-World's own (39,) observation, which its scripted experts read."""
        return self._raw

    def object_moved(self) -> float:
        """How far the start joint stands from rest (m), 0 without one; tells `undo` whether it has work."""
        start = self.card.start
        return 0.0 if start is None else abs(float(self._world.data.joint(start.joint).qpos[0]))

    def render(self) -> np.ndarray:
        """Return the picture of the card's camera, (size, size, 3) uint8."""
        if self._camera is None:
            self._camera = CardCamera(self._world.model, self.card.camera, self._size)
        return self._camera(self._world.data)

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

    def scramble(self, rng: np.random.Generator) -> None:
        """Put the object's joint somewhere on its range and leave all else, to show a judge rare states."""
        name, _, low, high = _OBJECT_JOINT[self.card.environment]
        data = self._world.data
        data.joint(name).qpos[:] = 0.0 if rng.random() < 0.35 else rng.uniform(low, high)
        data.joint(name).qvel[:] = 0.0
        self._world.set_state(data.qpos.copy(), data.qvel.copy())
        self._raw = self._raw.copy()
        self._raw[4:7] = self._world._get_pos_objects()

    def close(self) -> None:
        """Free the renderer and the world."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None


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


def make_task(card: TaskCard, render_mode: str | None = None, size: int | None = None) -> MetaWorldTask:
    """Make a card's environment; raises BadInput for a family that is not known."""
    family = card.environment.partition(":")[0]
    if family != "metaworld":
        raise BadInput(
            f"{card.name}: environment family '{family}' is unknown.{nearest(family, ['metaworld'])}"
        )
    return MetaWorldTask(card, render_mode, size)
