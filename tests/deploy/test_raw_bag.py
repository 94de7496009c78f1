"""A raw bag that cannot be written says so, raises nothing, and goes on in another bag when there is room."""

from __future__ import annotations

import resource
import struct

import pytest

from robot_rl.data.bag_write import Topic
from robot_rl.deploy.raw_bag import RawBag

pytest.importorskip("mcap", reason="the extra 'bags' is not installed")
pytest.importorskip("mcap_ros2", reason="the extra 'bags' is not installed")

POINT = Topic("/point", "a_msgs/msg/Point", "float64 x\n")


def write(bag: RawBag, x: float) -> None:
    bag.write("/point", b"\x00\x01\x00\x00" + struct.pack("<d", x), int(1e9 + x))


def found(folder) -> list[list[float]]:
    from mcap_ros2.reader import read_ros2_messages

    return [[m.ros_msg.x for m in read_ros2_messages(str(p))] for p in sorted(folder.glob("*/*.mcap"))]


def test_no_room_closes_the_bag_and_room_begins_another(tmp_path):
    bag = RawBag(tmp_path, [POINT])
    write(bag, 1)
    bag.sync(room=False)
    write(bag, 2)  # dropped
    bag.sync(room=True)
    write(bag, 3)
    bag.close()
    assert sorted(found(tmp_path)) == [[1.0], [3.0]]
    assert bag.messages == 2


def test_a_failed_write_is_told_and_over_with_the_next_bag(tmp_path):
    bag = RawBag(tmp_path, [POINT])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, before[1]))
    try:
        for x in range(100):
            write(bag, x)
        bag.sync(room=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written (File too large); make room" in bag.problem
    bag.sync(room=True)
    assert not bag.problem
    write(bag, 7)
    bag.close()
    assert len(list(tmp_path.glob("*/*.mcap"))) == 2
