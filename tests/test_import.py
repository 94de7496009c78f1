"""`import robot_rl` and the light rooms stay light: nothing heavy is loaded before it is needed."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "mujoco",
    "rclpy",
    "numpy",
    "pyarrow",
    "scipy",
    "matplotlib",
    "gymnasium",
    "h5py",
    "av",
    "cv2",
)


def loaded_after(statement):
    """The heavy modules in sys.modules of a fresh interpreter after `statement`."""
    code = f"{statement}\nimport sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import robot_rl", ()),
        ("import robot_rl.errors, robot_rl.specs.paths", ()),
        ("from robot_rl.cli.main import main; main(['--help'])", ()),
        ("import robot_rl.specs.yaml_model", ()),
        ("import robot_rl.preferences.store, robot_rl.preferences.run", ("numpy",)),
    ],
)
def test_nothing_heavy_is_loaded(statement, allowed):
    assert set(loaded_after(statement)) <= set(allowed)
