"""The launcher: what was killed is started anew where it may be, and how the nodes' topics travel."""

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (extra ros, Python 3.11 on Linux)")

from robot_rl.deploy import launcher
from robot_rl.deploy.graph import NodeSpec
from robot_rl.deploy.launcher import Processes
from robot_rl.errors import RobotRLError

BODIES = {
    "kills_itself": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "refuses": "import sys; sys.exit(2)",
    "lives": "import time; time.sleep(60)",
}


@pytest.fixture
def bodies(monkeypatch):
    monkeypatch.setattr(
        launcher, "command", lambda spec, *_: [sys.executable, "-S", "-c", BODIES[spec.executable]]
    )


def ended(process: subprocess.Popen) -> int:
    return process.wait(30)


def test_what_was_killed_is_started_anew_where_it_may_be(bodies, tmp_path):
    specs = [NodeSpec("kills_itself", respawn=True), NodeSpec("lives", respawn=True)]
    with Processes(specs, "", {}, tmp_path) as processes:
        first, living = processes.children["kills_itself"], processes.children["lives"]
        assert ended(first) == -9 and processes.restart() == ["kills_itself"]
        again = processes.children["kills_itself"]
        assert again.pid != first.pid and processes.children["lives"] is living
        ended(again)
        ticks = iter([True, True, False])
        assert processes.wait(lambda: next(ticks)) == 0  # the graph goes on


def test_a_refusal_or_a_node_that_may_not_be_restarted_ends_all(bodies, tmp_path):
    with Processes([NodeSpec("refuses", respawn=True), NodeSpec("lives")], "", {}, tmp_path) as processes:
        ended(processes.children["refuses"])
        assert processes.restart() == [] and processes.wait() == 2
    graph = Processes([NodeSpec("kills_itself"), NodeSpec("lives")], "", {}, tmp_path)
    with pytest.raises(RobotRLError, match="kills_itself ended with status -9"), graph as processes:
        processes.wait()


PARENT = """
import sys, time
from pathlib import Path
from robot_rl.deploy import launcher
from robot_rl.deploy.graph import NodeSpec
launcher.command = lambda *_: [sys.executable, "-S", "-c", sys.argv[1]]
with launcher.Processes([NodeSpec("lives")], "", {}, Path(sys.argv[2])) as processes:
    print(processes.children["lives"].pid, flush=True)
    time.sleep(60)
"""


def test_nodes_end_where_the_launcher_is_killed(tmp_path):
    line = [sys.executable, "-c", PARENT, BODIES["lives"], str(tmp_path)]
    parent = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)  # it runs
    parent.kill()
    parent.wait()
    end = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and "\nState:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_simulation_stays_on_this_machine_and_what_the_user_set_is_kept():
    env = launcher.environment(local=True, images=True, base={})
    assert env["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET" and "FASTDDS_BUILTIN_TRANSPORTS" not in env
    profile = Path(env["FASTRTPS_DEFAULT_PROFILES_FILE"])
    assert profile == Path(env["FASTDDS_DEFAULT_PROFILES_FILE"])
    addresses = [e.text for e in ElementTree.parse(profile).iter() if e.tag.endswith("}address")]
    assert addresses == ["127.0.0.1"] * 2  # it listens and looks there alone
    for base in (
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ):
        env = launcher.environment(local=True, images=True, base=base)
        assert env["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST" and base.items() <= env.items()
        assert "FASTDDS_DEFAULT_PROFILES_FILE" not in env


def test_a_robot_on_the_network_is_heard_without_shared_memory_but_for_pictures():
    for images, transport in ((True, "LARGE_DATA"), (False, "UDPv4")):
        env = launcher.environment(local=False, images=images, base={})
        assert env["FASTDDS_BUILTIN_TRANSPORTS"] == transport
        assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in env
        kept = launcher.environment(False, images, {"FASTDDS_BUILTIN_TRANSPORTS": "SHM"})
        assert kept["FASTDDS_BUILTIN_TRANSPORTS"] == "SHM"
