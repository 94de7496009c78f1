"""Walking as commanded: velocity tracking, its reward and its success test."""

from __future__ import annotations

from math import exp, hypot
from typing import Any

import numpy as np

from robot_rl.envs.go2.body import FALLEN_HEIGHT, FALLEN_UP, Body
from robot_rl.envs.go2.legs import STANCE
from robot_rl.envs.go2.options import Options

COMMAND = ("command_forward", "command_left", "command_turn")  # m/s, m/s, rad/s
START = 1.0  # s to get going, which the success test leaves out
NEAR, NEAR_TURN = 0.15, 0.2  # m/s and rad/s between the mean velocity and the command, at most
START_HEIGHT = 0.29  # m
_SIGMA = 0.25  # of the tracking terms, (m/s)² and (rad/s)²


class Walk:
    """Draws a command for each episode, pays for following it, and tests the whole episode at its end."""

    asked_names = COMMAND
    behaviours = ("trot", "gait", "stray", "stand", "stumble", "getup")

    def __init__(self, control_rate: float, episode_length: int) -> None:
        self._last, self._skip, self._rate = episode_length, round(START * control_rate), control_rate
        self.asked = np.zeros(3)

    def begin(self, body: Body, rng: np.random.Generator) -> None:
        """Stand at the origin with slightly bent joints and a heading of up to ±6°; draw the command."""
        self.ask(body.options, rng)
        joints, half = STANCE + rng.uniform(-0.05, 0.05, 12), rng.uniform(-0.05, 0.05)
        turn = [np.cos(half), 0.0, 0.0, np.sin(half)]
        body.place(np.array([0.0, 0.0, START_HEIGHT, *turn]), joints)

    def ask(self, options: Options, rng: np.random.Generator) -> None:
        """Draw the command of an episode that begins here, wherever the robot is."""
        low = (options.forward_from, options.left_from, options.turn_from)
        high = (options.forward_to, options.left_to, options.turn_to)
        self.asked = rng.uniform(low, high)
        self._step, self._walked, self._fell, self._sum = 0, 0, False, [0.0, 0.0, 0.0]

    def measure(self, body: Body) -> tuple[float, bool, dict[str, Any]]:
        """Reward, success and `info` of the control step that has just passed.

        Reward = up (exp(-|v - c|²/0.25) + 0.5 exp(-(w - c)²/0.25)) - 2 vz² - 0.05 |w_xy|² - 0.0002 |torque|²
        - 0.01 |a - a_before|², but at least 0, with the velocity v of the IMU in the trunk's frame (m/s), the
        turning rate w (rad/s), the command c, and how upright the trunk is, up (0 to 1; 0 where it has
        fallen), as is usual for walking (Rudin et al., 2022, arXiv:2109.11978).
        """
        spin_x, spin_y, turn, _, _, up = body.sensors[:6].tolist()
        forward, left, climb = body.sensors[30:33].tolist()
        fallen = up < FALLEN_UP or body.height < FALLEN_HEIGHT
        want_forward, want_left, want_turn = self.asked.tolist()
        off = (forward - want_forward) ** 2 + (left - want_left) ** 2
        tracked = exp(-off / _SIGMA) + 0.5 * exp(-((turn - want_turn) ** 2) / _SIGMA)
        change, force = body.last - body.before, body.force
        reward = 0.0 if fallen else up * tracked
        reward -= 2.0 * climb * climb + 0.05 * (spin_x * spin_x + spin_y * spin_y)
        reward -= 0.0002 * float(force.dot(force)) + 0.01 * float(change.dot(change))
        return max(reward, 0.0), *self._judge(forward, left, turn, fallen)

    def _judge(self, forward: float, left: float, turn: float, fallen: bool) -> tuple[bool, dict[str, Any]]:
        """Success at the episode's last step, how far the mean velocity so far is from the command (m/s,
        rad/s), and the time before the first fall (s).
        """
        self._step += 1
        self._fell |= fallen
        self._walked += not self._fell
        if self._step > self._skip:
            total = self._sum
            self._sum = [total[0] + forward, total[1] + left, total[2] + turn]
        count = max(self._step - self._skip, 1)
        mean, asked = [value / count for value in self._sum], self.asked.tolist()
        error, turn_error = hypot(mean[0] - asked[0], mean[1] - asked[1]), abs(mean[2] - asked[2])
        ended = self._step >= self._last > self._skip
        success = ended and not self._fell and error <= NEAR and turn_error <= NEAR_TURN
        found = {"velocity_error": error, "turn_error": turn_error, "walked": self._walked / self._rate}
        return success, {"fallen": fallen, **found}
