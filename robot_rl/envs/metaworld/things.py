"""What stands on the table in each of Meta-World's scenes: how it is measured and put into random states.

Lengths in m, in the scene's frame; only geometry, never reward or success.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

_REST_SHARE = 0.35  # share of random states in which a jointed thing is at rest


class Thing(Protocol):
    """The object of one scene; `world` is Meta-World's environment."""

    bar: tuple[float, float, float]  # m, from where Meta-World says the object is to what words speak of

    @property
    def extras(self) -> int:
        """How many state parts `extra` gives."""

    def extra(self, world: Any) -> tuple[float, ...]:
        """State parts beyond hand, gripper and object position."""

    def quantities(self, world: Any) -> dict[str, float]:
        """What a card's scales may say of the object."""

    def moved(self, world: Any) -> float:
        """How far it stands from rest (m or rad): tells `undo` whether it has work."""

    def place(self, world: Any, rng: np.random.Generator) -> None:
        """Set its joint to a random state."""


@dataclass(frozen=True)
class Jointed:
    """A thing with one joint that rests at 0: `measure` names the quantity, in m, or degrees for a hinge."""

    joint: str
    measure: str
    low: float  # m or rad
    high: float
    bar: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hinge: bool = False

    @property
    def extras(self) -> int:
        """One for a hinge."""
        return int(self.hinge)

    def extra(self, world: Any) -> tuple[float, ...]:
        """A hinge's angle (rad): the position of a handle alone does not say where the hinge is."""
        return (float(world.data.joint(self.joint).qpos[0]),) if self.hinge else ()

    def quantities(self, world: Any) -> dict[str, float]:
        """How far the joint stands from rest."""
        value = self.moved(world)
        return {self.measure: float(np.degrees(value)) if self.hinge else value}

    def moved(self, world: Any) -> float:
        """How far the joint stands from rest (m or rad)."""
        return abs(float(world.data.joint(self.joint).qpos[0]))

    def place(self, world: Any, rng: np.random.Generator) -> None:
        """Put the joint at rest or anywhere on its range."""
        data = world.data
        data.joint(self.joint).qpos[:] = (
            0.0 if rng.random() < _REST_SHARE else rng.uniform(self.low, self.high)
        )
        data.joint(self.joint).qvel[:] = 0.0


@dataclass(frozen=True)
class Loose:
    """A thing that lies free: a cube, a ball, a peg. Random states put it on the table, at its goal, or
    between the open fingers."""

    body: str
    rest: float  # m, height of its middle where it lies on the table
    low: tuple[float, float]  # m, x and y of the table on which it may lie
    high: tuple[float, float]
    goal_spread: tuple[float, float, float]  # m, half sizes of the box around the goal in which it is there
    grasped: tuple[float, float, float]  # m, from the hand to its middle when the fingers hold it
    goal_state: int = 0  # how many coordinates of the goal belong to the state (2 on the table, 3 in the air)
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m, from its middle to the part that has to arrive
    bar: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def extras(self) -> int:
        """Those of the goal."""
        return self.goal_state

    def extra(self, world: Any) -> tuple[float, ...]:
        """Where the goal is, where it is not always in one place (m)."""
        return tuple(float(x) for x in world._target_pos[: self.goal_state])

    def quantities(self, world: Any) -> dict[str, float]:
        """The object's way to the goal and its height, see each entry's comment."""
        middle = world.data.body(self.body).xpos
        across, along, above = middle + np.asarray(self.head) - world._target_pos
        return {
            "to_goal": float(np.hypot(across, along)),  # its head to the goal, seen from above
            "ahead": float(across),  # its head to the goal along x, from where a peg goes in
            "off_axis": float(np.hypot(along, above)),  # its head to the line along x through the goal
            "lifted": float(middle[2] - self.rest),  # above where it lies on the table
        }

    def moved(self, world: Any) -> float:
        """How far the head is inside the goal's box (m), 0 outside."""
        found = self.quantities(world)
        inside = found["off_axis"] < 0.03
        return max(0.0, self.goal_spread[0] - found["ahead"]) if inside else 0.0

    def place(self, world: Any, rng: np.random.Generator) -> None:
        """Put it at the goal, between the fingers if they are open, or on the table."""
        kind, model, data = rng.random(), world.model, world.data
        spread = np.asarray(self.goal_spread)
        if kind < 0.35:
            middle = world._target_pos + rng.uniform(-spread, spread) - np.asarray(self.head)
        elif kind < 0.6 and _opening(world) > 0.06:
            middle = world.get_endeff_pos() + np.asarray(self.grasped)
        else:
            middle = np.append(rng.uniform(self.low, self.high), self.rest)
        start = model.jnt_qposadr[model.body(self.body).jntadr[0]]
        data.qpos[start : start + 7] = (*middle, 1.0, 0.0, 0.0, 0.0)
        speed = model.jnt_dofadr[model.body(self.body).jntadr[0]]
        data.qvel[speed : speed + 6] = 0.0


def _opening(world: Any) -> float:
    """How far the finger tips are apart (m)."""
    pads = [world.data.body(name).xpos for name in ("rightpad", "leftpad")]
    return float(np.linalg.norm(pads[0] - pads[1]))


_DOOR = Jointed("doorjoint", "angle", -1.57, 0.0, hinge=True)
_PEG = Loose(
    "peg",
    0.02,
    (-0.05, 0.5),
    (0.2, 0.7),
    (0.07, 0.004, 0.004),
    (-0.03, 0.0, -0.035),
    3,
    head=(-0.1, 0.0, 0.0),
)
# Meta-World's name -> its object. drawer-close names a point above the handle's bar; words speak of the bar.
THINGS: dict[str, Thing] = {
    "drawer-open-v3": Jointed("goal_slidey", "opening", -0.20, 0.0),
    "drawer-close-v3": Jointed("goal_slidey", "opening", -0.20, 0.0, bar=(0.0, 0.0, -0.05)),
    "button-press-topdown-v3": Jointed("btnbox_joint", "pressed", -0.08, 0.0),
    "door-open-v3": _DOOR,
    "door-close-v3": _DOOR,
    "sweep-into-v3": Loose("obj", 0.07, (-0.2, 0.5), (0.2, 0.72), (0.04, 0.04, 0.0), (0.0, 0.0, -0.025)),
    "soccer-v3": Loose(
        "soccer_ball", 0.03, (-0.2, 0.5), (0.2, 0.75), (0.05, 0.04, 0.0), (0.0, 0.05, -0.025), 2
    ),
    "peg-insert-side-v3": _PEG,
}
