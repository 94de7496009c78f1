"""robosuite's scenes as a task card can speak of them: what is measured, and random states to show a judge.

Lengths in m, in the scene's frame; only geometry, never reward or success.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

TABLE = 0.8  # m, height of the table's top
_SHOWN_LIFTED = 0.3  # share of random states in which a loose thing is up between the fingers


@dataclass(frozen=True)
class Scene:
    """One of robosuite's environments; the functions take robosuite's environment."""

    name: str
    grasp: Callable[[Any], np.ndarray]  # (3,) where a hand takes hold
    state: Callable[[Any], np.ndarray]  # what of the state is the object's
    quantities: Callable[[Any], dict[str, float]]
    place: Callable[[Any, np.random.Generator], None]  # a random state of the object
    extras: int  # parts that `state` gives


def upright(quaternion: np.ndarray) -> np.ndarray:
    """The one of the two quaternions (x, y, z, w) of a turn whose largest of x and w is positive."""
    lead = quaternion[0] if abs(quaternion[0]) > abs(quaternion[3]) else quaternion[3]
    return quaternion if lead >= 0 else -quaternion


def body_pose(world: Any, body: str) -> np.ndarray:
    """Position (m) and quaternion (x, y, z, w) of a body: (7,)."""
    data = world.sim.data._data.body(body)
    return np.concatenate([data.xpos, upright(np.roll(data.xquat, -1))])


def hand(world: Any) -> np.ndarray:
    """(3,) m: between the finger tips."""
    robot = world.robots[0]
    return np.array(world.sim.data._data.site_xpos[robot.eef_site_id["right"]])


def _loose(body: str) -> Callable[[Any, np.random.Generator], None]:
    def place(world: Any, rng: np.random.Generator) -> None:
        data = world.sim.data._data
        joint = data.joint(body.replace("_main", "_joint0"))
        if rng.random() < _SHOWN_LIFTED:
            joint.qpos[:3] = hand(world)
            if rng.random() < 0.5:  # lower, as when it is just taken up
                joint.qpos[2] = TABLE + 0.02 + rng.uniform(0.0, 0.04)
        else:
            joint.qpos[:3] = (*rng.uniform((-0.2, -0.2), (0.2, 0.2)), TABLE + 0.02)
        turn = rng.uniform(-np.pi, np.pi) / 2
        joint.qpos[3:] = (np.cos(turn), 0.0, 0.0, np.sin(turn))
        joint.qvel[:] = 0.0

    return place


def _cube(world: Any) -> np.ndarray:
    return body_pose(world, "cube_main")[:3]


def _lift_quantities(world: Any) -> dict[str, float]:
    return {"lifted": float(_cube(world)[2] - TABLE - 0.02)}  # of the cube's middle above where it lies


def handle(world: Any) -> np.ndarray:
    """(3,) m: the door's handle."""
    return np.array(world._handle_xpos)


def _door_state(world: Any) -> np.ndarray:
    return np.append(handle(world), world.sim.data._data.joint("Door_hinge").qpos)


def _door_quantities(world: Any) -> dict[str, float]:
    return {"angle": float(np.degrees(world.sim.data._data.joint("Door_hinge").qpos[0]))}  # degrees, 0 closed


def _door_place(world: Any, rng: np.random.Generator) -> None:
    joint = world.sim.data._data.joint("Door_hinge")
    joint.qpos[:] = 0.0 if rng.random() < 0.35 else rng.uniform(0.0, 0.6)
    joint.qvel[:] = 0.0


def nut_handle(world: Any) -> np.ndarray:
    """(3,) m: the nut's handle, by which it is carried."""
    return np.array(world.sim.data._data.site("SquareNut_handle_site").xpos)


def _nut_state(world: Any) -> np.ndarray:
    return np.concatenate([body_pose(world, "SquareNut_main"), body_pose(world, "peg1")[:3]])


def _nut_quantities(world: Any) -> dict[str, float]:
    nut, peg = body_pose(world, "SquareNut_main"), body_pose(world, "peg1")
    return {
        "to_peg": float(np.hypot(*(nut - peg)[:2])),  # the nut's middle to the peg, seen from above
        "lifted": float(nut[2] - TABLE - 0.02),
    }


SCENES = {
    scene.name: scene
    for scene in (
        Scene("Lift", _cube, lambda w: body_pose(w, "cube_main"), _lift_quantities, _loose("cube_main"), 7),
        Scene("Door", handle, _door_state, _door_quantities, _door_place, 4),
        Scene("NutAssemblySquare", nut_handle, _nut_state, _nut_quantities, _loose("SquareNut_main"), 10),
    )
}
