"""Writes ROS 2 messages as they came, already serialized, into a bag: a folder with MCAP and metadata.yaml.

rosbag2, Foxglove and the readers of the packages mcap and rosbags open it. What was flushed survives a kill.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from robot_rl.errors import BadInput, need

METADATA = "metadata.yaml"
_METADATA_VERSION = 5  # qualities of service as text with numbers: the oldest that all of rosbag2 reads alike
_CHUNK = 4 * 2**20  # bytes
_FOREVER = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class Topic:
    """A topic of a bag."""

    name: str  # absolute, such as /joint_states
    type: str  # such as sensor_msgs/msg/JointState
    definition: str  # the message's fields and those of the messages in it, as ros2msg
    reliable: bool = True
    latched: bool = False
    depth: int = 10

    def qualities(self) -> str:
        """The offered quality of service, as rosbag2 writes it."""
        profile = {
            "history": 1,  # keep last
            "depth": self.depth,
            "reliability": 1 if self.reliable else 2,
            "durability": 1 if self.latched else 2,
            "deadline": _FOREVER,
            "lifespan": _FOREVER,
            "liveliness": 1,  # automatic
            "liveliness_lease_duration": _FOREVER,
            "avoid_ros_namespace_conventions": False,
        }
        return yaml.safe_dump([profile], sort_keys=False, default_flow_style=None)


class BagWriter:
    """A bag that is being written; times are nanoseconds since the epoch."""

    def __init__(self, folder: str | Path, topics: Sequence[Topic], distro: str = "") -> None:
        """Begin a bag in a new folder; raises BadInput where it exists or mcap is not installed."""
        self.folder, self._distro = Path(folder), distro
        mcap = need("mcap.writer", "bags")
        if not hasattr(mcap.Writer, "flush"):
            raise BadInput('mcap is older than 1.5; pip install -U "robot-rl[bags]"')
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            raise BadInput(f"{self.folder} exists; a bag needs a new folder") from None
        self.path = self.folder / f"{self.folder.name}_0.mcap"
        self._file = self.path.open("wb")
        self._writer = mcap.Writer(self._file, chunk_size=_CHUNK, compression=mcap.CompressionType.NONE)
        self._writer.start(profile="ros2", library="robot_rl")
        self._channels = {topic.name: self._channel(topic) for topic in topics}
        self._topics = {topic.name: topic for topic in topics}
        self._counts = dict.fromkeys(self._topics, 0)
        self._first: int | None = None
        self._last = 0
        self.flush()

    def _channel(self, topic: Topic) -> int:
        schema = self._writer.register_schema(topic.type, "ros2msg", topic.definition.encode())
        return self._writer.register_channel(
            topic.name, "cdr", schema, {"offered_qos_profiles": topic.qualities()}
        )

    def write(self, topic: str, content: bytes, received: int, published: int | None = None) -> None:
        """Append a message (CDR) of a topic, with the times at which it was received and published."""
        sequence, self._counts[topic] = self._counts[topic], self._counts[topic] + 1
        published = received if published is None else published
        self._writer.add_message(self._channels[topic], received, content, published, sequence)
        self._first = received if self._first is None else min(self._first, received)
        self._last = max(self._last, received)

    def flush(self) -> None:
        """Bring all that was written to the disk; a file that is cut later reads up to here."""
        self._writer.flush()
        os.fsync(self._file.fileno())
        text = yaml.safe_dump({"rosbag2_bagfile_information": self._information()}, sort_keys=False)
        temporary = self.folder / f".{METADATA}"
        temporary.write_text(text)
        os.replace(temporary, self.folder / METADATA)

    def close(self) -> None:
        """Finish the file with its index."""
        # Without `serialized_metadata` rosbag2 reads the qualities of service as its version 8 wrote them.
        self._writer.add_metadata("rosbag2", {"ROS_DISTRO": self._distro})
        self.flush()
        self._writer.finish()
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file without another write, as after a full disk."""
        with contextlib.suppress(OSError):  # what was buffered has no room either
            self._file.close()

    def _information(self) -> dict:
        start = {"nanoseconds_since_epoch": self._first or 0}
        length = {"nanoseconds": 0 if self._first is None else self._last - self._first}
        count = sum(self._counts.values())
        file = {"path": self.path.name, "starting_time": start, "duration": length, "message_count": count}
        return {
            "version": _METADATA_VERSION,
            "storage_identifier": "mcap",
            "duration": length,
            "starting_time": start,
            "message_count": count,
            "topics_with_message_count": [self._counted(topic) for topic in self._topics.values()],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.path.name],
            "files": [file],
        }

    def _counted(self, topic: Topic) -> dict:
        told = {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": topic.qualities(),
        }
        return {"topic_metadata": told, "message_count": self._counts[topic.name]}
