"""Draws a MuJoCo scene from a task card's camera, off screen and fast without a GPU."""

from __future__ import annotations

import os
from typing import Any

# Both must be set before mujoco is imported; software rendering is several times slower without.
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

import numpy as np

from robot_rl.errors import BadInput, RobotRLError, nearest, need
from robot_rl.specs.tasks import Camera

_LIBRARIES = (
    "install its libraries (Debian, Ubuntu: apt-get install libegl1 libgl1 libegl-mesa0), choose another "
    "with MUJOCO_GL=egl or osmesa, or MUJOCO_GL=disable where no picture is needed"
)


def _no_gl(error: Exception) -> RobotRLError:
    """What to say where the graphics library cannot be loaded."""
    told = " ".join(str(error).split())
    return RobotRLError(
        f"rendering: MUJOCO_GL={os.environ['MUJOCO_GL']} does not work here ({told}); {_LIBRARIES}"
    )


def _import_mujoco() -> Any:
    try:
        return need("mujoco", "sim")
    except (ImportError, AttributeError, RuntimeError, OSError) as error:  # by what is missing
        raise _no_gl(error) from error


mujoco = _import_mujoco()


class CardCamera:
    """Renders (size, size, 3) uint8 pictures of one model from one camera; `close()` frees the context."""

    def __init__(self, model: mujoco.MjModel, camera: Camera, size: int | None = None) -> None:
        _check_platform()
        self._model = model
        # Shadows and multi-sampling cost most of the time of a software renderer and show a judge nothing.
        model.vis.quality.shadowsize = 0
        model.vis.quality.offsamples = 0
        for body in camera.hide:
            _hide(model, body)
        pixels = size or camera.size
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, pixels)
        model.vis.global_.offheight = max(model.vis.global_.offheight, pixels)
        try:
            self._renderer = mujoco.Renderer(model, pixels, pixels)
        except (ImportError, RuntimeError, AttributeError, mujoco.FatalError) as error:
            raise _no_gl(error) from error
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        self._options = mujoco.MjvOption()
        self._options.sitegroup[:] = 0  # sites mark the goal, which the camera of a real robot would not see
        self._camera = mujoco.MjvCamera()
        self.aim(camera)

    def aim(self, camera: Camera) -> None:
        """Look from elsewhere; pixels and hidden bodies stay."""
        self._camera.lookat[:] = camera.look_at
        self._look_at = np.array(camera.look_at[:2])
        self._follow = None if camera.follow is None else _body(self._model, camera.follow, "follow")
        self._camera.azimuth, self._camera.elevation = camera.azimuth, camera.elevation
        self._camera.distance = camera.distance

    def __call__(self, data: mujoco.MjData) -> np.ndarray:
        """Draw the scene as `data` holds it: (size, size, 3) uint8."""
        if self._follow is not None:
            self._camera.lookat[:2] = self._look_at + data.xpos[self._follow, :2]
        self._renderer.update_scene(data, self._camera, self._options)
        return self._renderer.render()

    def close(self) -> None:
        """Free the renderer's context."""
        self._renderer.close()


def _check_platform() -> None:
    """Refuse to render where mujoco was imported too early; it would end the whole process."""
    chosen = getattr(mujoco.gl_context, "GLContext", None)
    windowed = chosen is None or chosen.__module__.startswith("mujoco.glfw")
    if windowed and not os.environ.get("DISPLAY"):
        asked = os.environ["MUJOCO_GL"]
        why = (
            f"MUJOCO_GL={asked} needs a display, and there is none"
            if asked in ("glfw", "glx")
            else "mujoco was imported before MUJOCO_GL was set and chose a renderer that needs a display"
        )
        raise RobotRLError(f"rendering: {why}; set MUJOCO_GL=egl (or osmesa) in the environment")


def _body(model: mujoco.MjModel, body: str, field: str) -> int:
    """The index of a body that the camera's `field` names; BadInput for unknown bodies."""
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, body)
    if index < 0:
        known = [model.body(i).name for i in range(model.nbody)]
        raise BadInput(f"camera.{field}: no body '{body}' in the scene.{nearest(body, known)}")
    return index


def _hide(model: mujoco.MjModel, body: str) -> None:
    """Make a body's shapes invisible, which also skips them in drawing; BadInput for unknown bodies."""
    index = _body(model, body, "hide")
    model.geom_rgba[model.geom_bodyid == index, 3] = 0.0
    # A material's colour would win over the shape's own.
    model.geom_matid[model.geom_bodyid == index] = -1
