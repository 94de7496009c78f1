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


def test_rewards_carry_the_stamp_of_their_picture(tmp_path):
    domain = str(32 + (os.getpid() + 21) % 60)
    env = environment(local=True, images=True, base={**os.environ, "ROS_DOMAIN_ID": domain})
    parameters = ["-p", "contract:=sim_drawer", "-p", "model:=stub", "-p", "success:=stub"]
    node = subprocess.Popen(
        [sys.executable, str(HERE / "stub_reward.py"), "--ros-args", *parameters], env=env
    )
    try:
        line = [sys.executable, str(HERE / "show_pictures.py")]
        told = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        node.send_signal(signal.SIGINT)
        node.wait(20)
    lines = list(dict.fromkeys(told.splitlines()))  # a picture that was shown twice is judged twice
    assert lines == [
        "1 1 ['mean', 'std'] [10.0, 1.0] 0.039 False",
        "2 2 ['mean', 'std'] [200.0, 1.0] 0.784 True",
        "3 3 ['mean', 'std'] [210.0, 1.0] 0.824 True",
        "4 4 ['mean', 'std'] [30.0, 1.0] 0.118 False",
    ]
    assert node.returncode == 0
