"""Bags are resampled by their last value, joints found by name, and what is broken in them is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.data.importers import import_dataset
from robot_rl.data.importers.bag_mapping import BagMapping, split
from robot_rl.data.importers.bags import BagSource
from robot_rl.data.importers.source import Options
from robot_rl.data.store import Dataset
from robot_rl.data.video_write import encode_png
from robot_rl.errors import BadInput
from tests.conftest import picture

pytest.importorskip("mcap_ros2")
from mcap_ros2.writer import Writer  # noqa: E402

HEADER = "std_msgs/Header header"
PARTS = (
    "\n================\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id"
    "\n================\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec"
)
JOINTS = f"{HEADER}\nstring[] name\nfloat64[] position\nfloat64[] velocity{PARTS}"
VECTOR = "\n================\nMSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z"
TWIST = f"geometry_msgs/Vector3 linear\ngeometry_msgs/Vector3 angular{VECTOR}"
IMAGE = (
    f"{HEADER}\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data"
    f"{PARTS}"
)
COMPRESSED = f"{HEADER}\nstring format\nuint8[] data{PARTS}"
STAMP = {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""}
MAPPING = """
rate: 10
robot: toy
state:
  - {name: elbow, topic: /joint_states, path: "position[elbow]", unit: rad}
  - {name: wrist speed, topic: /joint_states, path: "velocity[0]", unit: rad/s}
actions:
  - {name: forward, topic: /cmd_vel, path: linear.x, unit: m/s}
cameras: {front: /camera}
"""


def write_bag(path: Path, seconds: float = 1.0, compressed: bool = False, start: float = 5.0) -> Path:
    """Joints at 50 Hz, commands at 20 Hz from 0.1 s on, pictures at 10 Hz; values are the time in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=2**14)
        joints = writer.register_msgdef("sensor_msgs/msg/JointState", JOINTS)
        twist = writer.register_msgdef("geometry_msgs/msg/Twist", TWIST)
        kind = "CompressedImage" if compressed else "Image"
        image = writer.register_msgdef(f"sensor_msgs/msg/{kind}", COMPRESSED if compressed else IMAGE)
        for tick in range(int(seconds * 100) + 1):
            time = int((start + tick / 100) * 1e9)
            if tick % 2 == 0:
                _write(writer, "/joint_states", joints, time, _joints(tick))
            if tick % 5 == 0 and tick >= 10:
                zero = {"x": 0.0, "y": 0.0, "z": 0.0}
                _write(
                    writer, "/cmd_vel", twist, time, {"linear": {**zero, "x": tick / 100}, "angular": zero}
                )
            if tick % 10 == 0:
                _write(writer, "/camera", image, time, _image(tick // 10, compressed))
        writer.finish()
    return path


def _write(writer: Writer, topic: str, schema: Any, time: int, message: dict) -> None:
    writer.write_message(topic, schema, message, log_time=time, publish_time=time)


def _joints(tick: int) -> dict:
    """The joints change their order from message to message."""
    names, places = ["wrist", "elbow"], [-1.0, tick / 100]
    turn = -1 if tick % 4 else 1
    return {"header": STAMP, "name": names[::turn], "position": places[::turn], "velocity": [tick / 50, 0.0]}


def _image(step: int, compressed: bool) -> dict:
    frame = picture(step, 0)
    if compressed:
        return {"header": STAMP, "format": "png", "data": encode_png(frame)}
    swapped = np.ascontiguousarray(frame[..., ::-1])
    padded = np.pad(swapped.reshape(32, 96), ((0, 0), (0, 4)))
    shape = {"height": 32, "width": 32, "encoding": "bgr8", "is_bigendian": 0, "step": 100}
    return {"header": STAMP, **shape, "data": padded.tobytes()}


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_topics_are_resampled_by_their_last_value(tmp_path: Path, mapping: Path, compressed: bool) -> None:
    source = write_bag(tmp_path / "bag.mcap", compressed=compressed)
    report = import_dataset(source, tmp_path / "d", task="drive", mapping=mapping)
    assert (report.format, report.episodes, report.fps, report.cameras) == ("bag", 1, 10.0, ("front",))
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.state_names == ("elbow", "wrist speed")
    assert dataset.info.robot_type == "toy"
    # From 0.1 s, when the last topic began, to 1.0 s: 10 steps at 10 Hz.
    times = np.linspace(0.1, 1.0, 10)
    np.testing.assert_allclose(dataset.column("observation.state")[:, 0], times, atol=1e-6)
    np.testing.assert_allclose(dataset.column("observation.state")[:, 1], 2 * times, atol=1e-6)
    np.testing.assert_allclose(dataset.column("action")[:, 0], times, atol=1e-6)
    frames = dataset.frames("front", np.arange(10)).astype(int)
    for step in range(10):
        assert np.abs(frames[step] - picture(step + 1, 0)).mean() < 12
    assert dataset.episode(0).metadata["start_time_ns"] == 5_100_000_000
    units = [f["unit"] for f in dataset.info.metadata["source"]["mapping"]["state"]]
    assert units == ["rad", "rad/s"]


def test_between_messages_the_last_value_stands(tmp_path: Path) -> None:
    text = MAPPING.replace("rate: 10", "rate: 40").replace("cameras: {front: /camera}", "")
    (tmp_path / "m.yaml").write_text(text)
    import_dataset(write_bag(tmp_path / "b.mcap"), tmp_path / "d", task="x", mapping=tmp_path / "m.yaml")
    actions = Dataset.open(tmp_path / "d").column("action")[:4, 0]
    np.testing.assert_allclose(actions, [0.10, 0.10, 0.15, 0.15], atol=1e-6)  # 20 Hz at 40 steps a second


def test_each_bag_of_a_folder_is_an_episode_and_split_files_are_one(tmp_path: Path, mapping: Path) -> None:
    bags = tmp_path / "bags"
    write_bag(bags / "a.mcap")
    write_bag(bags / "run/run_0.mcap")
    write_bag(bags / "run/run_1.mcap", start=6.01)
    (bags / "run/metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    report = import_dataset(bags, tmp_path / "d", task="x", mapping=mapping)
    assert report.episodes == 2
    assert Dataset.open(tmp_path / "d").lengths.tolist() == [10, 20]


def test_a_bag_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, mapping: Path) -> None:
    source = write_bag(tmp_path / "bag.mcap", seconds=20, compressed=True)
    data = source.read_bytes()
    assert len(data) > 3 * 2**14  # several chunks
    source.write_bytes(data[: len(data) // 2])
    report = import_dataset(source, tmp_path / "d", task="x", mapping=mapping)
    assert 50 < report.frames < 150
    assert any("ends early" in note for note in report.notes)


def test_a_silent_topic_is_noted(tmp_path: Path) -> None:
    text = MAPPING.replace("rate: 10", "rate: 10\nstale_after: 0.04")
    (tmp_path / "m.yaml").write_text(text)
    report = import_dataset(
        write_bag(tmp_path / "b.mcap"), tmp_path / "d", task="x", mapping=tmp_path / "m.yaml"
    )
    assert any("'/cmd_vel' is silent for 0.05 s" in note for note in report.notes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("linear.x", "linear.w", "'linear.w': the message has no field 'w'; it has x, y, z"),
        ("position[elbow]", "position[knee]", r"the message names \['wrist', 'elbow'\], not 'knee'"),
        ("velocity[0]", "velocity[7]", "the array has 2 elements; '7' is not among them"),
        ("velocity[0]", "velocity", "'velocity' is .*; it must be a number"),
        ("/cmd_vel", "/cmd", "no message of '/cmd'; the bag has /camera .*, /cmd_vel"),
        ("front: /camera", "front: /joint_states", "/joint_states: is no sensor_msgs/Image"),
        ("rate: 10", "rate: 0", "m.yaml: rate: .*greater than 0"),
        ("rate: 10", "rat: 10", "unknown field.*'rate'"),
        ("name: elbow", "name: wrist speed", "the name 'wrist speed' is there twice"),
        ("linear.x", "linear..x", "path: must be field names with dots"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING.replace(old, new))
    source = write_bag(tmp_path / "bag.mcap")
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d", task="x", mapping=tmp_path / "m.yaml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag.mcap", "m.yaml"]


def test_without_a_mapping_the_topics_are_listed(tmp_path: Path) -> None:
    source = write_bag(tmp_path / "bag.mcap")
    with pytest.raises(BadInput, match=r"--mapping.*/joint_states \(sensor_msgs/msg/JointState\)"):
        import_dataset(source, tmp_path / "d", task="x")


def test_a_mapping_can_be_passed_in(tmp_path: Path, mapping: Path) -> None:
    fields = [{"name": "elbow", "topic": "/joint_states", "path": "position[elbow]"}]
    own = BagMapping(rate=20, state=fields, actions=fields)
    with BagSource(write_bag(tmp_path / "bag.mcap"), Options(task="x"), own) as source:
        episode = source.episode(0)
    np.testing.assert_array_equal(episode.actions, episode.observations["state"])
    assert episode.fps == 20 and len(episode) == 21


@pytest.mark.parametrize("keep", [4, 20, 300])
def test_a_stump_is_named(tmp_path: Path, mapping: Path, keep: int) -> None:
    source = write_bag(tmp_path / "bag.mcap")
    source.write_bytes(source.read_bytes()[:keep])
    with pytest.raises(BadInput, match="bag.mcap"):
        import_dataset(source, tmp_path / "d", task="x", mapping=mapping)


def test_paths_are_split_at_dots_outside_brackets() -> None:
    assert split("pose.position.x") == ("pose", "position", "x")
    assert split("position[arm.elbow]") == ("position[arm.elbow]",)
