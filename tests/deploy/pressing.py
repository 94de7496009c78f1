"""A policy written by hand (linear in the state) that presses Meta-World's button, and the robot for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.policies.checkpoint import save_checkpoint
from robot_rl.specs.paths import outside
from tests.policies.helpers import make_spec

STATE = ("hand_x", "hand_y", "hand_z", "gripper_opening", "button_x", "button_y", "button_z")
ACTIONS = ("hand_dx", "hand_dy", "hand_dz", "gripper_close")


def pressing_policy(folder: Path) -> Path:
    """Save a policy that goes over the button and comes down on it."""
    weight = np.zeros((7, 4), np.float32)
    for axis in (0, 1):
        weight[axis, axis], weight[4 + axis, axis] = -20.0, 20.0  # towards the button, per m
    weight[[1, 2, 5, 6], 2] = -20.0, -20.0, 20.0, 20.0  # as high above it as it is far away in y
    bias = np.array([0.0, 0.0, -1.0, 1.0], np.float32)  # and 5 cm deeper than the button stands
    spec = make_spec(
        state_names=STATE, state_units=["m"] * 3 + ["1"] + ["m"] * 3,
        state_mean=[0.0] * 7, state_std=[1.0] * 7,
        action_names=ACTIONS, action_units=["1"] * 4, action_low=[-1.0] * 4, action_high=[1.0] * 4,
        fps=80.0, robot="sawyer_sim", task="button_press_topdown", task_text="press the button", hidden=[],
    )  # fmt: skip
    log_std = np.zeros(4, np.float32)
    return save_checkpoint(folder, {"layer0.weight": weight, "layer0.bias": bias, "log_std": log_std}, spec)


def button_contract(folder: Path) -> Path:
    """Write the contract of sim_drawer with a button in the drawer's place."""
    text = (outside("ros_ws", "src") / "robot_rl_bringup" / "config" / "sim_drawer.yaml").read_text()
    path = folder / "sim_button.yaml"
    changed = text.replace("handle", "button").replace("drawer_open", "button_press_topdown")
    path.write_text(changed.replace("name: sim_drawer", "name: sim_button"))
    return path
