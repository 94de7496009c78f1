"""The recorder as a process over DDS: it writes what the topics said, and a kill loses next to nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.store import Dataset
from robot_rl.deploy.graph import Deployment, nodes
from robot_rl.deploy.journal import ROWS
from robot_rl.deploy.launcher import Processes, environment
from robot_rl.deploy.recording_folder import journals, recover
from tests.deploy.pressing import button_contract, pressing_policy

for module, extra in (("rclpy", "ros"), ("mcap_ros2", "bags"), ("metaworld", "sim")):
    pytest.importorskip(module, reason=f"the extra '{extra}' is not installed")

DOMAIN = str(32 + os.getpid() % 60)  # of our own, so that nothing else on this machine is heard


def graph(folder: Path, trials: int) -> Processes:
    deployment = Deployment(
        robot=str(button_contract(folder)),
        policy=str(pressing_policy(folder / "run")),
        seed=10_000,
        trials=trials,
        results=str(folder / "trials.json"),
        record=str(folder / "rec"),
    )
    env = environment(local=True, images=True, base={**os.environ, "ROS_DOMAIN_ID": DOMAIN})
    return Processes(nodes(deployment), "", env, folder / "logs")


def bag_of(out: Path) -> list:
    from mcap_ros2.reader import read_ros2_messages

    (path,) = (out / "raw").glob("*/*.mcap")
    return sorted(read_ros2_messages(str(path)), key=lambda m: m.publish_time_ns)


def stamp(message) -> float:
    return message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec


def rows_by_hand(out: Path) -> tuple[np.ndarray, np.ndarray]:
    """State (N, 7) and action (N, 4) at each command of the running guard, from the raw messages."""
    latest, states, actions = {}, [], []
    for message in bag_of(out):
        topic, said = message.channel.topic, message.ros_msg
        if topic in ("/hand_pose", "/button_pose"):
            place = said.pose.position
            latest.setdefault(topic, []).append((stamp(said), [place.x, place.y, place.z]))
        elif topic == "/joint_states":
            latest.setdefault(topic, []).append((stamp(said), [said.position[0]]))
        elif topic == "/guard/executed" and said.header.frame_id == "running":
            parts = [
                next(values for at, values in reversed(latest[name]) if at <= stamp(said))
                for name in ("/hand_pose", "/joint_states", "/button_pose")
            ]
            states.append(sum(parts, []))
            actions.append(list(said.position))
    return np.array(states), np.array(actions)


def test_the_dataset_holds_what_the_topics_said(tmp_path):
    with graph(tmp_path, trials=3) as processes:
        processes.wait()
    dataset, results = (
        Dataset.open(tmp_path / "rec" / "dataset"),
        json.loads((tmp_path / "trials.json").read_text()),
    )
    states, actions = rows_by_hand(tmp_path / "rec")
    np.testing.assert_allclose(dataset.column("action"), actions, atol=1e-6)
    np.testing.assert_allclose(dataset.column("observation.state"), states, atol=1e-6)
    trials = {row["seed"]: row["success"] for row in results["episodes"]}
    assert list(trials.values()).count(True) >= 2
    found = {}
    for episode in dataset:
        found[episode.metadata["seed"]] = bool(episode.success[-1])
        assert not episode.success[0]
        assert np.asarray(episode.observations["image.side"][0]).std() > 5  # a picture of something
        assert episode.task == "press the button"
    assert found == trials


def wait_until(true, patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "the graph does not get there"
        time.sleep(0.02)


def staged(out: Path) -> list[str]:
    """Closed episodes that wait to become the dataset."""
    return sorted(path.name for path in (out / "dataset.staging").glob("episode-*"))


def open_rows(out: Path) -> int:
    """Bytes of rows in the latest journal."""
    found = journals(out)
    return (found[-1] / ROWS).stat().st_size if found and (found[-1] / ROWS).exists() else 0


def test_a_recorder_that_is_killed_keeps_all_that_was_closed_and_the_open_one(tmp_path):
    out = tmp_path / "rec"
    with graph(tmp_path, trials=50) as processes:
        row = 8 * (1 + 7 + 4 + 3 + 1) + 4
        wait_until(lambda: staged(out) and open_rows(out) > 20 * row)
        closed = staged(out)
        whole = open_rows(out) // row
        recorder = processes.children["recorder_node"]
        recorder.send_signal(signal.SIGKILL)
        recorder.wait()
        left = [path.name for path in journals(out)]
        time.sleep(0.5)
        assert processes.children["guard_node"].poll() is None  # the robot does not care
    dataset = Dataset.open(recover(out))
    assert len(dataset) >= len(closed) + bool(left)
    last = dataset.episode(len(dataset) - 1)
    assert last.metadata.get("recovered") or not left
    assert len(last) >= whole or not left
    assert len(dataset.episode(0)) > 20
    said = [message.channel.topic for message in bag_of(out)]  # of the bag that was cut
    assert said.count("/guard/executed") >= sum(len(episode) for episode in dataset) - 80  # a second
