"""Draws an episode's light, colours, camera, masses, friction, latency and sensor noise from a card's ranges.

A policy that works for all of them depends less on what a simulator gets wrong. Each draw starts from the
scene as it was made, so episodes do not add up.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from robot_rl.envs.rendering import mujoco  # there, since MUJOCO_GL must be set before its first import
from robot_rl.errors import BadInput, nearest
from robot_rl.specs.tasks import Camera, TaskCard

_LIGHT = ("light_ambient", "light_diffuse", "light_specular")
_HEADLIGHT = ("ambient", "diffuse", "specular")
_COLOUR = ("geom_rgba", "mat_rgba", "flex_rgba")
_MASS = ("body_mass", "body_inertia")
_FRICTION = ("geom_friction", "flex_friction")


class Randomiser:
    """One environment's draws; raises BadInput for a card without ranges or with noise on what no part is."""

    def __init__(self, card: TaskCard) -> None:
        if card.randomise is None:
            raise BadInput(
                f"{card.name}: the task card has no section 'randomise:', so there is nothing to draw from"
            )
        known = {part.unit for part in card.state} | {part.name for part in card.state}
        for noisy in card.randomise.noise:
            if noisy not in known:
                raise BadInput(
                    f"{card.name}: randomise.noise: no state part is in '{noisy}' or has this name."
                    f"{nearest(noisy, known)}"
                )
        self._card, self._ranges = card, card.randomise
        self._model: Any = None
        self.camera = card.camera
        self.sigma = np.zeros(len(card.state))  # standard deviation of the noise on each part, in its unit
        self.latency = 0  # control periods
        self._rng = np.random.default_rng(0)
        self._waiting: deque[np.ndarray] = deque()

    def draw(self, model: Any, rng: np.random.Generator) -> None:
        """Draw an episode: change the model in place, and remember what is not part of it."""
        if model is not self._model:
            self._remember(model)
        self._rng, ranges = rng, self._ranges
        self._draw_looks(model)
        self._draw_physics(model)
        self.camera = self._draw_camera()
        scales = {noisy: rng.uniform(*ranges.noise[noisy]) for noisy in sorted(ranges.noise)}
        self.sigma = np.array([scales.get(p.name, scales.get(p.unit, 0.0)) for p in self._card.state])
        self.latency = int(rng.integers(ranges.latency[0], ranges.latency[1] + 1))
        self._waiting = deque(np.zeros(len(self._card.actions), np.float32) for _ in range(self.latency))

    def delayed(self, action: np.ndarray) -> np.ndarray:
        """The action that takes effect now: the one of `latency` periods ago, nothing at the start."""
        self._waiting.append(action)
        return self._waiting.popleft()

    def sensed(self, state: np.ndarray) -> np.ndarray:
        """The state (S,) as noisy sensors give it."""
        return np.asarray(state) + self.sigma * self._rng.normal(size=len(self.sigma))

    def _remember(self, model: Any) -> None:
        """Keep what the draws start from."""
        names = (*_LIGHT, *_COLOUR, *_MASS, *_FRICTION)
        self._nominal = {name: np.copy(getattr(model, name)) for name in names}
        self._headlight = {name: np.copy(getattr(model.vis.headlight, name)) for name in _HEADLIGHT}
        self._model = model

    def _draw_looks(self, model: Any) -> None:
        rng, ranges, nominal = self._rng, self._ranges, self._nominal
        factors = rng.uniform(*ranges.light, (model.nlight + 1, 1))
        for name in _LIGHT:
            getattr(model, name)[:] = nominal[name] * factors[1:]
        for name in _HEADLIGHT:
            getattr(model.vis.headlight, name)[:] = self._headlight[name] * factors[0]
        for name in _COLOUR:  # the last channel is left alone: it also says which shapes are hidden
            colours = nominal[name][:, :3]
            drawn = np.clip(colours * rng.uniform(*ranges.colour, colours.shape), 0, 1)
            getattr(model, name)[:, :3] = np.where(_default(nominal[name])[:, None], colours, drawn)

    def _draw_physics(self, model: Any) -> None:
        rng, ranges, nominal = self._rng, self._ranges, self._nominal
        factors = rng.uniform(*ranges.mass, model.nbody)
        model.body_mass[:] = nominal["body_mass"] * factors
        model.body_inertia[:] = nominal["body_inertia"] * factors[:, None]
        slip = rng.uniform(*ranges.friction)
        for name in _FRICTION:
            getattr(model, name)[:, :1] = nominal[name][:, :1] * slip
        if ranges.mass != (1.0, 1.0):
            mujoco.mj_setConst(model, mujoco.MjData(model))

    def _draw_camera(self) -> Camera:
        rng, ranges, camera = self._rng, self._ranges, self._card.camera
        shift, turn = ranges.camera_shift, ranges.camera_turn
        aim = {
            "look_at": tuple(np.asarray(camera.look_at) + rng.uniform(-shift, shift, 3)),
            "azimuth": camera.azimuth + rng.uniform(-turn, turn),
            "elevation": camera.elevation + rng.uniform(-turn, turn),
        }
        return camera.model_copy(update=aim)


def _default(rgba: np.ndarray) -> np.ndarray:
    """(N,) bool: MuJoCo's own grey, which stands for "as the material is"; any other would replace it."""
    return (rgba == (0.5, 0.5, 0.5, 1.0)).all(1)
