"""Scripted experts for robosuite's scenes: over the thing, down, close, and then what the task asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from robot_rl.envs.robosuite.scenes import TABLE, body_pose, hand, handle, nut_handle

Act = Callable[[], np.ndarray]
_DOWN = np.array([0.0, 0.0, -1.0])
_STEP, _TURN = 0.05, 0.5  # m and rad: what an action of 1 asks for in one control period
_GAIN = 1.0  # share of the way that is asked for in a period
_ABOVE, _NEAR = 0.08, 0.015  # m: height of the approach, and how near counts as there
_BEHIND, _LEAN = 0.035, 0.4  # m from the door's handle towards the door, and rad: where the fingers fit
_PEG_TOP = TABLE + 0.2  # m, a nut at this height is clear of its peg
_CLOSING = 6  # control periods for the fingers to close


def servo(
    world: Any, target: np.ndarray, grip: float, turn: float = 0.0, pointing: np.ndarray = _DOWN
) -> np.ndarray:
    """The action (7,) towards a point (m), the fingers as told, with a turn about `pointing` (rad).

    The hand is brought to point that way, straight down by default.
    """
    base = world.sim.data._data.body("robot0_base").xmat.reshape(3, 3)
    way = base.T @ (target - hand(world)) * _GAIN / _STEP
    turns = base.T @ (np.cross(_frame(world)[:, 2], pointing) + turn * pointing) / _TURN
    return np.clip(np.concatenate([way, turns, [grip]]), -1.0, 1.0)


def _frame(world: Any) -> np.ndarray:
    """The hand's axes as columns: z points out between the fingers, which close along x."""
    return world.sim.data._data.site_xmat[world.robots[0].eef_site_id["right"]].reshape(3, 3)


def fingers(world: Any) -> float:
    """Angle (rad) about the vertical of the line along which the fingers close."""
    axis = _frame(world)[:, 0]
    return float(np.arctan2(axis[1], axis[0]))


def shortest(angle: float, period: float) -> float:
    """The turn of least size that is `angle` up to whole periods (rad)."""
    return (angle + period / 2) % period - period / 2


def grasping(
    world: Any,
    point: Callable[[Any], np.ndarray],
    turn: Callable[[Any], float],
    then: Callable[[], np.ndarray],
) -> Act:
    """Reach a point from above with open fingers turned as told, close them, and go on as `then` says."""
    closed = 0

    def act() -> np.ndarray:
        nonlocal closed
        place, here = point(world), hand(world)
        if closed >= _CLOSING:
            if np.linalg.norm(here - place) > 0.05:
                closed = 0  # it slipped out
            return then()
        across, angle = np.linalg.norm((place - here)[:2]), turn(world)
        if closed or (across < _NEAR and abs(here[2] - place[2]) < _NEAR):
            closed += 1
            return servo(world, place, 1.0)
        low = across < _NEAR and abs(angle) < 0.1
        return servo(world, place if low else place + (0.0, 0.0, _ABOVE), -1.0, -angle)

    return act


def lift(world: Any) -> Act:
    """Take the cube and bring it up."""

    def cube(world: Any) -> np.ndarray:
        return body_pose(world, "cube_main")[:3]

    def turn(world: Any) -> float:
        x, y, z, w = body_pose(world, "cube_main")[3:]
        yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        return shortest(yaw - fingers(world), np.pi / 2)

    return grasping(world, cube, turn, lambda: servo(world, hand(world) + (0.0, 0.0, 0.04), 1.0))


def door(world: Any) -> Act:
    """Drop the closed fingers behind the handle's bar, the palm leaning away, and pull it about its hinge."""
    data, hooked = world.sim.data._data, False

    def act() -> np.ndarray:
        nonlocal hooked
        joint, bar, here = data.joint("Door_hinge"), handle(world), hand(world)
        along = np.cross(joint.xaxis, bar - joint.xanchor)
        along /= np.linalg.norm(along)
        pointing = np.cos(_LEAN) * _DOWN - np.sin(_LEAN) * along
        line, wanted = _frame(world)[:, 0], np.cross(along, _DOWN)
        twist = shortest(np.arctan2(np.dot(np.cross(line, wanted), pointing), np.dot(line, wanted)), np.pi)
        behind = bar - _BEHIND * along
        across = np.linalg.norm((behind - here)[:2])
        hooked = (hooked or (across < 0.03 and here[2] < bar[2] + 0.01)) and across < 0.12
        if hooked:
            return servo(world, bar + 0.05 * along - (0.0, 0.0, 0.01), 1.0, twist, pointing)
        if across > 0.03 and here[2] < bar[2] + 0.06:
            return servo(world, np.array([*here[:2], bar[2] + 0.12]), 1.0, twist, pointing)
        return servo(world, behind + (0.0, 0.0, -0.01 if across < 0.02 else 0.1), 1.0, twist, pointing)

    return act


def nut(world: Any) -> Act:
    """Take the nut by its handle, carry it over the square peg, and let it down."""

    def arm(world: Any) -> float:
        way = nut_handle(world) - body_pose(world, "SquareNut_main")[:3]
        return float(np.arctan2(way[1], way[0]))

    def turn(world: Any) -> float:
        return shortest(arm(world) + np.pi / 2 - fingers(world), np.pi)

    lowering = False

    def carry() -> np.ndarray:
        nonlocal lowering
        middle, peg, here = body_pose(world, "SquareNut_main")[:3], body_pose(world, "peg1")[:3], hand(world)
        way, angle = (peg - middle)[:2], shortest(-arm(world), np.pi / 2)
        off = np.linalg.norm(way)
        lowering = (lowering and off < 0.03) or (off < 0.004 and abs(angle) < 0.05)
        if lowering and middle[2] < TABLE + 0.06:
            return servo(world, here, -1.0)
        if lowering:
            return servo(world, here + np.append(way, -0.03), 1.0, -angle)
        over = middle[2] > _PEG_TOP - 0.02 or off < 0.03
        return servo(world, here + np.append(way if over else (0.0, 0.0), _PEG_TOP - middle[2]), 1.0, -angle)

    return grasping(world, nut_handle, turn, carry)


EXPERTS = {"Lift": lift, "Door": door, "NutAssemblySquare": nut}
