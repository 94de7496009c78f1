"""Shows an episode in MuJoCo's own window, where there is a display."""

from __future__ import annotations

import time

from robot_rl.envs.recording import Actor, steps_of
from robot_rl.envs.task_env import TaskEnv
from robot_rl.errors import need


def show(env: TaskEnv, actor: Actor, seed: int) -> None:
    """Play one episode at the control rate, until it ends or the window is closed."""
    viewer = need("mujoco.viewer", "sim")
    period = 1.0 / env.card.control_rate
    played = steps_of(env, actor, seed)
    next(played)  # the reset, which some families make their scene in
    with viewer.launch_passive(env.model, env.data) as window:
        for _ in played:
            if not window.is_running():
                return
            window.sync()
            time.sleep(period)
