"""Finishes a bag whose recorder was killed: what can be read goes into a whole file with an index.

Readers that start at the end of a file (rosbags, ros2 bag info) refuse one that was cut.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robot_rl.errors import need

_MAGIC = bytes([137, 77, 67, 65, 80, 48, 13, 10])  # an MCAP file begins and ends with it


def is_cut(path: Path) -> bool:
    """Whether an MCAP file was never finished."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - len(_MAGIC)))
        return size <= len(_MAGIC) or file.read() != _MAGIC


def finish_bag(path: Path) -> int:
    """Replace a cut MCAP file by a whole one with its readable messages; returns how many there are."""
    writing = need("mcap.writer", "bags")
    temporary = path.with_name(f".{path.name}.tmp")
    count = 0
    with path.open("rb") as source, temporary.open("wb") as target:
        writer = writing.Writer(target, compression=writing.CompressionType.NONE)
        writer.start(profile="ros2", library="robot_rl")
        schemas: dict[int, int] = {}
        channels: dict[int, int] = {}
        for record in _records(source):
            kind = type(record).__name__
            if kind == "Schema" and record.id not in schemas:
                schemas[record.id] = writer.register_schema(record.name, record.encoding, record.data)
            elif kind == "Channel" and record.id not in channels:
                of = schemas.get(record.schema_id, 0)
                channels[record.id] = writer.register_channel(
                    record.topic, record.message_encoding, of, record.metadata
                )
            elif kind == "Message":
                times = (record.log_time, record.data, record.publish_time, record.sequence)
                writer.add_message(channels[record.channel_id], *times)
                count += 1
        writer.add_metadata("rosbag2", {"ROS_DISTRO": ""})
        writer.finish()
        target.flush()
        os.fsync(target.fileno())
    os.replace(temporary, path)
    return count


def _records(source: Any) -> Iterator[Any]:
    """Records up to where the file is cut."""
    reading, wrong = need("mcap.stream_reader", "bags"), need("mcap.exceptions", "bags")
    try:
        yield from reading.StreamReader(source, record_size_limit=None).records
    except (wrong.McapError, EOFError, ValueError, struct.error):
        return
