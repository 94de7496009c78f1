"""Reaching while walking: the gripper holds a target that moves ahead of the robot along a circle."""

from __future__ import annotations

from math import cos, exp, pi, sin
from typing import Any

import numpy as np

from robot_rl.envs.go2.body import Body
from robot_rl.envs.go2.legs import STANCE
from robot_rl.envs.go2.scene import mujoco
from robot_rl.envs.go2.trot import Gait, trot
from robot_rl.envs.go2.walk import START_HEIGHT

TARGET = ("target_x", "target_y", "target_z")  # m in the trunk's frame
START, NEAR = 2.0, 0.06  # s to get there, and m of mean distance after that
AHEAD, ABOVE = 0.5, 0.66  # m, of the target before the robot's start and over the ground
_RADIUS, _PERIOD = 0.06, 4.0  # m and s of the circle
_DAMPING, _STEP = 0.1, 0.08  # of the least squares, and share of the distance gone in a control step
_SLACK, _HOMING = 0.15, 0.02  # rad that targets may lead the joints by, and share of the way home a step
_COMFORT = 0.5  # m ahead of the trunk where the legs try to keep the target


class Reach:
    """The target walks at the card's `forward` speed; success is a small mean distance without a fall."""

    asked_names = TARGET
    behaviours = ("reach", "walk_only", "reach_only", "stumble")

    def __init__(self, control_rate: float, episode_length: int) -> None:
        self._last, self._skip, self._period = episode_length, round(START * control_rate), 1 / control_rate
        self.asked = np.zeros(3)

    def begin(self, body: Body, rng: np.random.Generator) -> None:
        """Stand at the origin, the arm at home; draw the target's speed, side and place on its circle."""
        options = body.options
        self._speed = rng.uniform(options.forward_from, options.forward_to)  # m/s
        self._left, self._angle = rng.uniform(options.left_from, options.left_to), rng.uniform(0, 2 * pi)
        joints = STANCE + rng.uniform(-0.05, 0.05, 12)
        body.place(np.array([0.0, 0.0, START_HEIGHT, 1.0, 0.0, 0.0, 0.0]), joints)
        self._tip = body.data.site("arm_tip").xpos
        self._rotation = body.data.body("base").xmat.reshape(3, 3)
        self._trunk = body.data.body("base").xpos
        self._step, self._fell, self._sum = 0, False, 0.0
        self._aim()

    def _aim(self) -> None:
        """Move the target and see it from the trunk."""
        time = self._step * self._period
        angle = self._angle + 2 * pi * time / _PERIOD
        around = _RADIUS * sin(angle), _RADIUS * cos(angle)
        x = AHEAD + self._speed * max(time - START, 0.0)
        self.target = np.array([x, self._left + around[0], ABOVE + around[1]])  # m in the world's frame
        self.asked = (self.target - self._trunk) @ self._rotation

    def measure(self, body: Body) -> tuple[float, bool, dict[str, Any]]:
        """Reward, success and `info` of the control step that has just passed.

        Reward = up exp(-(d/0.1 m)²) + 0.5 up exp(-d/0.3 m) - 0.0002 |torque|² - 0.01 |a - a_before|², but at
        least 0, with the gripper's distance d from the target and how upright the trunk is, up (0 to 1).
        """
        away = self._tip - self.target
        distance = float(away.dot(away)) ** 0.5
        change, force, up, fallen = body.last - body.before, body.force, max(body.up, 0.0), body.fallen
        reward = up * (exp(-((distance / 0.1) ** 2)) + 0.5 * exp(-distance / 0.3))
        reward -= 0.0002 * float(force.dot(force)) + 0.01 * float(change.dot(change))
        self._step += 1
        self._fell |= fallen
        self._sum += distance if self._step > self._skip else 0.0
        mean = self._sum / max(self._step - self._skip, 1)
        self._aim()
        ended = self._step >= self._last > self._skip
        success = ended and not self._fell and mean <= NEAR
        return max(reward, 0.0), success, {"fallen": fallen, "distance": distance, "mean_distance": mean}


class ReachOut:
    """The scripted way: trot towards where the target is in comfort, and bring the gripper to it.

    The arm follows damped least squares, dq = J' (J J' + damping² I)^-1 e (Wampler, 1986).
    """

    def __init__(self, body: Body, goal: Reach, legs: bool = True, arm: bool = True) -> None:
        self._body, self._goal, self._legs, self._arm = body, goal, legs, arm
        self._gait = Gait(rate=body.options.clock_rate, mass=20.0)
        self._aim = body.data.ctrl[12:].copy()  # rad, the arm's targets
        self._site = body.model.site("arm_tip").id
        self._jacobian = np.zeros((3, body.model.nv))
        self._low, self._high = body.model.jnt_range[13:].T

    def __call__(self) -> np.ndarray:
        """The next action (18,)."""
        body = self._body
        x, y, _ = self._goal.asked
        forward, turn = 2.0 * (x - _COMFORT), 1.5 * np.arctan2(y, max(x, 0.1))  # m/s, rad/s
        command = np.array([np.clip(forward, -0.2, 0.6), 0.0, np.clip(turn, -0.5, 0.5)]) * self._legs
        legs = trot(self._gait, body.phase, command, body.gravity, body.sensors[:3])
        if self._arm:
            self._follow()
        return body.action_for(np.concatenate([legs, self._aim]))

    def _follow(self) -> None:
        data = self._body.data
        mujoco.mj_jacSite(self._body.model, data, self._jacobian, None, self._site)
        jacobian = self._jacobian[:, 18:]
        error = self._goal.target - data.site_xpos[self._site]
        square = jacobian @ jacobian.T + _DAMPING**2 * np.eye(3)
        inverse = jacobian.T @ np.linalg.inv(square)
        home = _HOMING * (self._body.centre[12:] - self._aim)
        step = inverse @ (_STEP * error) + home - inverse @ (jacobian @ home)  # homing moves no gripper
        joints = data.qpos[19:]
        aim = np.clip(self._aim + step, joints - _SLACK, joints + _SLACK)
        self._aim = np.clip(aim, self._low, self._high)
