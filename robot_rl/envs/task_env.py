"""What every simulated task is: a Gymnasium environment with its card's state, camera, words and behaviours.

A family (`metaworld/`, …) implements the hooks; collection, evaluation and judges use this face alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from robot_rl.envs.randomise import Randomiser
from robot_rl.envs.rendering import CardCamera  # sets MUJOCO_GL before the first mujoco import
from robot_rl.errors import BadInput, nearest, need
from robot_rl.specs.tasks import TaskCard

gymnasium = need("gymnasium", "sim")

Act = Callable[[], np.ndarray]  # the next action (A,) of a behaviour, before noise and clipping


class TaskEnv(gymnasium.Env):
    """Observation {"state": (S,) float32 in the card's units}; action (A,) float32 in ±1, clipped.

    `reset(seed=s)` alone decides all randomness of the episode, whatever happened before. An episode is
    truncated at the card's length and never terminated. `info["success"]` is the success test at this step.
    """

    metadata = {"render_modes": ["rgb_array"]}
    behaviours: tuple[str, ...] = ()  # what `behave` knows

    def __init__(self, card: TaskCard, render_mode: str | None = None, size: int | None = None) -> None:
        self.card, self.render_mode, self._size = card, render_mode, size
        self.metadata = {**self.metadata, "render_fps": round(card.control_rate)}
        self._camera: CardCamera | None = None
        self.randomiser: Randomiser | None = None  # set by make_task where episodes are to differ
        self.steps = 0
        high = np.full(len(card.state), np.inf, np.float32)
        box = gymnasium.spaces.Box(-high, high, dtype=np.float32)
        self.observation_space = gymnasium.spaces.Dict({"state": box})
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(card.actions),), np.float32)

    # The hooks of a family.

    @property
    def model(self) -> Any:
        """The scene, an MjModel."""
        raise NotImplementedError

    @property
    def data(self) -> Any:
        """The scene's state, an MjData."""
        raise NotImplementedError

    def begin(self, options: Mapping[str, Any]) -> None:
        """Put the world into the first state of an episode, all randomness from `self.np_random`."""
        raise NotImplementedError

    def advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Apply an action (A,) in ±1 for one control period; return reward, success and more of `info`."""
        raise NotImplementedError

    def state(self) -> np.ndarray:
        """The state (S,) in the order and units of the card."""
        raise NotImplementedError

    def senses(self) -> dict[str, float]:
        """What the robot measures besides the state, by name, for those who stand in for its drivers."""
        return {}

    def quantities(self) -> dict[str, float]:
        """Measure what a card's scales may speak of: geometry, never reward or success."""
        raise NotImplementedError

    def explore(self, rng: np.random.Generator) -> Iterator[None]:
        """Bring the world from one random state to the next, for ever, to show a judge what can be seen."""
        raise NotImplementedError

    def behave(self, name: str, rng: np.random.Generator) -> Act:
        """Draw one of `behaviours` for a segment of an episode."""
        raise NotImplementedError

    def way_home(self) -> Callable[[], np.ndarray | None]:
        """A scripted way to where a try can begin: its next action (A,), None once there."""
        raise BadInput(f"{self.card.name}: this family of tasks has no way home")

    def try_again(self) -> None:
        """Begin an episode where the last one ended; nothing in the world moves."""
        self.steps = 0

    def continue_from(self, other: TaskEnv) -> None:
        """Take over the world of another task of the same scene, as it is; for reset-free pairs."""
        raise BadInput(f"{self.card.name} and {other.card.name}: this family of tasks shares no worlds")

    def leave(self) -> dict[str, np.ndarray]:
        """All of the world that `take_up` needs, as arrays to keep on disk."""
        raise BadInput(f"{self.card.name}: this family of tasks keeps no worlds")

    def take_up(self, left: Mapping[str, np.ndarray]) -> None:
        """Go on in a world that a task of the same scene left, to the last bit."""
        raise BadInput(f"{self.card.name}: this family of tasks keeps no worlds")

    # What all families share.

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode; `options={"random_start": True}` asks for the card's `start`."""
        super().reset(seed=seed)
        self.steps = 0
        if self.randomiser is not None:
            # A stream of its own: the start of an episode is the same with and without.
            stream = self.np_random.bit_generator.seed_seq.spawn(1)[0]
            self.randomiser.draw(self.model, np.random.default_rng(stream))
        self.begin(options or {})
        return self._observation(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Act for one control period; actions beyond ±1 are clipped."""
        action = np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        reward, success, more = self.advance(
            action if self.randomiser is None else self.randomiser.delayed(action)
        )
        self.steps += 1
        truncated = self.steps >= self.card.episode_length
        return self._observation(), float(reward), False, truncated, {"success": bool(success), **more}

    def _observation(self) -> dict[str, np.ndarray]:
        state = self.state() if self.randomiser is None else self.randomiser.sensed(self.state())
        return {"state": np.asarray(state, np.float32)}

    def render(self) -> np.ndarray:
        """Return the picture of the card's camera, (size, size, 3) uint8."""
        if self._camera is None:
            self._camera = CardCamera(self.model, self.card.camera, self._size)
        if self.randomiser is not None:
            self._camera.aim(self.randomiser.camera)
        return self._camera(self.data)

    def known_behaviour(self, name: str) -> None:
        """Raise BadInput unless `behave` knows the name."""
        if name not in self.behaviours:
            hint = nearest(name, self.behaviours)
            raise BadInput(f"{self.card.name}: has no behaviour '{name}'.{hint}")

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
