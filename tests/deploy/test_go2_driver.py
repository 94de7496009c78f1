"""The Go2 driver as a process, between ROS and a robot on CycloneDDS that checks what it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robot_rl.deploy.graph import NodeSpec
from robot_rl.deploy.launcher import Processes, environment

for module, extra in (("rclpy", "ros"), ("unitree_sdk2py", "go2")):
    pytest.importorskip(module, reason=f"the extra '{extra}' is not installed")

HERE = Path(__file__).parent
DOMAIN = 32 + (os.getpid() + 7) % 60  # of ROS; the robot's own is another


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[dict, list[tuple], list[tuple]]:
    """What was done and when, and the commands that the robot saw, before and after the driver's end."""
    folder = tmp_path_factory.mktemp("go2")
    env = environment(local=True, images=False, base={**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)})
    env["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), env["PYTHONPATH"]])
    robot = str(DOMAIN + 100)
    fake = subprocess.Popen(
        [sys.executable, str(HERE / "fake_go2.py"), robot, str(folder / "seen.json")], env=env
    )
    driver = NodeSpec(
        "go2_driver_node", {"contract": "go2", "domain": int(robot), "kp": 60.0, "damping": 2.5}
    )
    try:
        with Processes([driver], "", env, folder / "logs"):
            line = [sys.executable, str(HERE / "go2_targets.py")]
            told = subprocess.run(
                line, env=env, capture_output=True, text=True, timeout=60, check=True
            ).stdout
    finally:
        fake.send_signal(signal.SIGTERM)
        fake.wait(20)
    seen = json.loads((folder / "seen.json").read_text())
    return {key: float(value) for key, value in map(str.split, told.splitlines())}, seen


def rows(played, since: str, until: str, margin: float = 0.0) -> list[tuple]:
    done, seen = played
    return [row for row in seen["rows"] if done[since] + margin < row[0] < done[until]]


def test_every_command_is_whole_and_none_came_before_sport_mode_was_released(played):
    _, seen = played
    assert seen["wrong"] == 0
    assert len(seen["rows"]) > 500
    assert {row[4] for row in seen["rows"]} == {""}


def test_the_joints_are_heard_by_name(played):
    assert played[0]["joint_states"] == pytest.approx(0.9)


def test_commands_come_many_times_a_target(played):
    gaps = np.diff([row[0] for row in rows(played, "silent", "again")])
    assert 1 / np.median(gaps) > 200  # 500 Hz are asked for; a busy machine gives less


def test_targets_are_held_then_silence_damps(played):
    done, seen = played
    before = [row for row in seen["rows"] if row[0] < done["silent"] and row[2] > 0]
    hips = np.array([row[1][0] for row in before])
    assert hips[0] < 0.3 and hips[-1] == pytest.approx(0.3)
    assert np.abs(np.diff(hips)).max() < 0.3  # never in one jump
    assert {row[2] for row in before} == {60.0}
    assert before[-1][1][1:] == pytest.approx(([0.0, 0.9, -1.8] * 4)[1:])
    silent = rows(played, "silent", "again", margin=0.5)
    assert {(row[2], row[3]) for row in silent} == {(0.0, 2.5)}


def test_it_goes_on_with_the_next_target_until_the_stop_topic(played):
    again = [row for row in rows(played, "again", "damp") if row[2] > 0]
    assert again[-1][1][0] == pytest.approx(-0.2)
    damped = rows(played, "damp", "end", margin=0.3)
    assert {(row[2], row[3]) for row in damped} == {(0.0, 2.5)}


def test_it_damps_when_it_ends(played):
    last = played[1]["rows"][-1]
    assert last[0] > played[0]["end"] and (last[2], last[3]) == (0.0, 2.5)
