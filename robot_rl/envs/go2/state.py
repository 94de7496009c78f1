"""What a policy of Go2 sees: the IMU, the joints, its own last action and clock, and what is asked of it."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from robot_rl.envs.go2.body import JOINTS, Body
from robot_rl.envs.go2.legs import STANCE
from robot_rl.envs.go2.scene import ARM_HOME
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import TaskCard

SENSED = (
    *(f"gyro_{axis}" for axis in "xyz"),  # rad/s
    *(f"gravity_{axis}" for axis in "xyz"),  # unit vector in the trunk's frame
    *(f"{joint}_q" for joint in JOINTS),  # rad from the stance
    *(f"{joint}_dq" for joint in JOINTS),  # rad/s
    *(f"{joint}_last" for joint in JOINTS),  # the action before
    "clock_sin",  # of the robot's gait clock: where in a stride a trot would be
    "clock_cos",
)

ARM_SENSED = tuple(f"arm_joint{k}_{what}" for what in ("q", "dq", "last") for k in range(1, 7))
ARM_JOINTS = tuple(f"arm_joint{k}" for k in range(1, 7))


def check_names(card: TaskCard, asked: tuple[str, ...], arm: bool) -> None:
    """Raise BadInput where a card does not list the state and the actions that its task has."""
    state, actions = ((*SENSED, *ARM_SENSED), (*JOINTS, *ARM_JOINTS)) if arm else (SENSED, JOINTS)
    for field, found, wanted in (
        ("state", [part.name for part in card.state], [*state, *asked]),
        ("actions", [part.name for part in card.actions], list(actions)),
    ):
        if len(found) != len(wanted):
            raise BadInput(f"{card.name}: {field} has {len(found)} entries; this task has {len(wanted)}")
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if one != other:
                raise BadInput(f"{card.name}: {field}[{index}] is '{one}'; this task has '{other}' there")


def sensed(body: Body, asked: np.ndarray) -> np.ndarray:
    """(S,) float32: SENSED, ARM_SENSED with an arm, then what is asked.

    The trunk's velocity is not among them: the robot cannot measure it.
    """
    sensors, arm = body.sensors, len(body.last) - 12
    state = np.empty(44 + 3 * arm + len(asked), np.float32)
    state[:3] = sensors[:3]
    state[3:6] = -sensors[3:6]
    state[6:18] = sensors[6:18] - STANCE
    state[18:30] = sensors[18:30]
    state[30:42] = body.last[:12]
    angle = 2 * pi * body.phase
    state[42], state[43] = sin(angle), cos(angle)
    if arm:
        state[44:50] = sensors[33:39] - ARM_HOME
        state[50:56] = sensors[39:45]
        state[56:62] = body.last[12:]
    state[44 + 3 * arm :] = asked
    return state
