"""The reward node as a process over DDS: each picture's verdicts have its stamp."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.deploy.launcher import environment

pytest.importorskip("rclpy", reason="the extra 'ros' is not installed")
pytest.importorskip("torch", reason="the extra 'vlm' is not installed")

HERE = Path(__file__).parent


def judged(domain, *tasks, **parameters):
    """What a node with stubs says of four pictures, 10, 200, 210 and 30 bright."""
    env = environment(local=True, images=True, base={**os.environ, "ROS_DOMAIN_ID": str(domain)})
    given = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    line = [sys.executable, str(HERE / "stub_reward.py"), "--ros-args", "-p", "contract:=sim_drawer", *given]
    node = subprocess.Popen(line, env=env)
    try:
        line = [sys.executable, str(HERE / "show_pictures.py"), *tasks]
        told = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        node.send_signal(signal.SIGINT)
        node.wait(20)
    assert node.returncode == 0
    return list(dict.fromkeys(told.splitlines()))  # a picture that was shown twice is judged twice


def test_rewards_carry_the_stamp_of_their_picture():
    assert judged(32 + (os.getpid() + 21) % 60, model="stub", success="stub") == [
        "1 1 ['mean', 'std'] [10.0, 1.0] 0.039 False",
        "2 2 ['mean', 'std'] [200.0, 1.0] 0.784 True",
        "3 3 ['mean', 'std'] [210.0, 1.0] 0.824 True",
        "4 4 ['mean', 'std'] [30.0, 1.0] 0.118 False",
    ]


def test_each_task_is_judged_by_its_own_classifier():
    tasks = ("open", "open", "close", "close")
    found = judged(33 + (os.getpid() + 21) % 60, *tasks, model="s", success="bright:dark", forward="open")
    assert [line.split()[-1] for line in found] == ["False", "True", "False", "True"]
