"""Bags that are written open with the readers of mcap, whole and cut."""

from __future__ import annotations

import struct

import pytest
import yaml

from robot_rl.data.bag_write import METADATA, BagWriter, Topic
from robot_rl.errors import BadInput

pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
pytest.importorskip("mcap_ros2", reason="the extra 'bags' is not installed")

POINT = Topic("/point", "a_msgs/msg/Point", "float64 x\n", latched=True)


def point(x: float) -> bytes:
    return b"\x00\x01\x00\x00" + struct.pack("<d", x)  # CDR, little endian


def written(folder, count: int, close: bool = True) -> BagWriter:
    bag = BagWriter(folder, [POINT], "jazzy")
    for k in range(count):
        bag.write("/point", point(k), 1_000_000_000 + k, 900_000_000 + k)
    bag.close() if close else bag.flush()
    return bag


def read(path) -> list[tuple]:
    from mcap_ros2.reader import read_ros2_messages

    return [(m.ros_msg.x, m.log_time_ns, m.publish_time_ns) for m in read_ros2_messages(str(path))]


def test_messages_times_and_schema_come_back(tmp_path):
    from mcap.reader import make_reader

    bag = written(tmp_path / "bag", 3)
    assert read(bag.path) == [(float(k), 1_000_000_000 + k, 900_000_000 + k) for k in range(3)]
    with bag.path.open("rb") as file:
        reader = make_reader(file)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
    (schema,), (channel,) = summary.schemas.values(), summary.channels.values()
    assert (schema.name, schema.encoding, channel.message_encoding) == ("a_msgs/msg/Point", "ros2msg", "cdr")
    (profile,) = yaml.safe_load(channel.metadata["offered_qos_profiles"])
    assert (profile["durability"], profile["reliability"]) == (1, 1)
    assert summary.statistics.message_count == 3


def test_the_metadata_file_counts(tmp_path):
    written(tmp_path / "bag", 3)
    told = yaml.safe_load((tmp_path / "bag" / METADATA).read_text())["rosbag2_bagfile_information"]
    assert told["relative_file_paths"] == ["bag_0.mcap"]
    assert (told["message_count"], told["duration"]) == (3, {"nanoseconds": 2})
    (topic,) = told["topics_with_message_count"]
    assert (topic["topic_metadata"]["name"], topic["message_count"]) == ("/point", 3)


def test_a_file_cut_after_a_flush_reads_up_to_it(tmp_path):
    from mcap.exceptions import McapError
    from mcap.records import Message
    from mcap.stream_reader import StreamReader

    bag = written(tmp_path / "bag", 3, close=False)
    bag.write("/point", point(9), 2_000_000_000)
    found = []
    with bag.path.open("rb") as file, pytest.raises((McapError, EOFError)):
        for record in StreamReader(file, record_size_limit=None).records:
            if isinstance(record, Message):
                found.append(record.data)
    assert found == [point(0), point(1), point(2)]
    bag.abandon()


def test_a_folder_that_exists_is_refused(tmp_path):
    with pytest.raises(BadInput, match="a bag needs a new folder"):
        BagWriter(tmp_path, [POINT])
