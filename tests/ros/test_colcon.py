"""colcon builds both ROS 2 packages, with their contracts, launch files and executables."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.specs.paths import outside
from robot_rl.specs.robot_contract import contract_names


@pytest.mark.skipif(importlib.util.find_spec("colcon_core") is None, reason="colcon is not installed (dev)")
def test_colcon_builds_both_packages(tmp_path):
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = dict(os.environ) | {"PATH": places, "AMENT_PREFIX_PATH": sys.prefix, "COLCON_LOG_PATH": "log"}
    command = [sys.executable, "-m", "colcon", "build", "--base-paths", str(outside("ros_ws", "src"))]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    bringup = tmp_path / "install" / "robot_rl_bringup" / "share" / "robot_rl_bringup"
    assert sorted(path.stem for path in (bringup / "config").glob("*.yaml")) == contract_names()
    launches = {path.name for path in outside("launch").glob("*.launch.py")}
    assert {path.name for path in (bringup / "launch").iterdir()} == launches
    package = outside("ros_ws", "src") / "robot_rl_deployment" / "robot_rl_deployment"
    nodes = {path.stem for path in package.glob("*_node.py")}
    built = tmp_path / "install" / "robot_rl_deployment" / "lib" / "robot_rl_deployment"
    assert {path.name for path in built.iterdir()} == nodes
