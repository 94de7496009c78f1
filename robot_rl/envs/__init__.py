"""Simulated tasks behind Gymnasium's interface; importing this registers them as `robot_rl/<task>-v0`."""

from robot_rl.envs.registration import register

register()
