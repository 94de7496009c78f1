"""Decoded messages of the MCAP files of one bag, and pictures out of image messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.video_write import decode_image
from robot_rl.errors import BadInput, need

_LIMIT = 2**30  # bytes of one record
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}


def _damage() -> tuple[type[Exception], ...]:
    """What the MCAP libraries raise for damaged files."""
    from mcap.exceptions import McapError
    from zstandard import ZstdError  # a dependency of mcap

    return (
        McapError, ZstdError, struct.error, OSError, EOFError, ValueError, KeyError,
        IndexError, TypeError, AttributeError, MemoryError, OverflowError, RuntimeError, AssertionError,
    )  # fmt: skip


class BagFile:
    """The MCAP files of one bag, in order."""

    def __init__(self, files: Sequence[Path]):
        """Take the files; BadInput where the libraries that read them are not installed."""
        need("mcap.reader", "bags")
        need("mcap_ros2.decoder", "bags")
        self._files = list(files)
        self.name = str(files[0] if len(files) == 1 else files[0].parent)
        self.cut = False  # a file ended early when it was read

    def messages(
        self, topics: Sequence[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """(log time in ns, decoded message) of some topics from `start` to `stop` (ns), in order."""
        yield from ((log, message) for log, _, message in self.timed(topics, start, stop))

    def timed(
        self, topics: Sequence[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[int, int, Any]]:
        """As `messages`, with the time of publication (ns; of logging where none is given) before each."""
        from mcap_ros2.decoder import DecoderFactory

        for path in self._files:
            decode: dict[int, Any] = {}
            for schema, channel, message in self._raw(path, topics, start, stop):
                try:
                    if channel.id not in decode:
                        factory = DecoderFactory()
                        decode[channel.id] = factory.decoder_for(channel.message_encoding, schema)
                    decoder = decode[channel.id]
                    decoded = None if decoder is None else decoder(message.data)
                except Exception as error:  # definitions and messages are parsed by what the file says
                    raise BadInput(
                        f"{path}: a message of '{channel.topic}' cannot be decoded ({_short(error)}); "
                        "record it again or leave the bag out"
                    ) from error
                if decoded is None:
                    raise BadInput(
                        f"{path}: '{channel.topic}' has the encoding '{channel.message_encoding}'; "
                        "only ROS 2 messages (cdr) with their definitions can be read"
                    )
                yield message.log_time, message.publish_time or message.log_time, decoded

    def times(self, topic: str) -> tuple[np.ndarray, np.ndarray]:
        """(N,) int64 twice: times of logging and of publication of a topic's messages (ns), in order."""
        found = [
            (m.log_time, m.publish_time or m.log_time)
            for path in self._files
            for _, _, m in self._raw(path, [topic], None, None)
        ]
        pairs = np.asarray(found, np.int64).reshape(-1, 2)
        return tuple(pairs[np.argsort(pairs[:, 0], kind="stable")].T)

    def _raw(self, path: Path, topics: Sequence[str], start: int | None, stop: int | None) -> Iterator[Any]:
        from mcap.exceptions import EndOfFile
        from mcap.reader import NonSeekingReader, SeekingReader

        damage = _damage()
        span = {"starting_at": start, "ending_before": None if stop is None else stop + 1}
        try:
            with path.open("rb") as file:
                reader: Any = SeekingReader(file, validate_crcs=True, record_size_limit=_LIMIT)
                try:
                    whole = reader.get_summary() is not None
                except damage:
                    whole = False
                if not whole:  # the recorder was killed before it wrote the index
                    file.seek(0)
                    reader = NonSeekingReader(file, record_size_limit=_LIMIT)
                try:
                    # A file without its index would be read whole before its messages could be sorted.
                    yield from reader.iter_messages(topics, log_time_order=whole, **span)
                except EndOfFile:
                    if whole:
                        raise
                    self.cut = True
        except GeneratorExit:
            raise
        except damage as error:  # a damaged length asks for memory that is not there
            raise BadInput(
                f"{path} is not a readable MCAP file ({_short(error)}); try `mcap recover`"
            ) from error

    def topics(self) -> dict[str, str]:
        """{topic: message type} of the first file's messages, as far as it can be read."""
        found = self._indexed_topics()
        if found is None:
            found = {}
            for schema, channel, _ in self._raw(self._files[0], None, None, None):
                found[channel.topic] = schema.name if schema else channel.message_encoding
        return dict(sorted(found.items()))

    def _indexed_topics(self) -> dict[str, str] | None:
        """The topics by the first file's index, None where it has none: then all messages have to be read."""
        from mcap.reader import SeekingReader

        try:
            with self._files[0].open("rb") as file:
                summary = SeekingReader(file, validate_crcs=True, record_size_limit=_LIMIT).get_summary()
                counts = summary.statistics.channel_message_counts
                channels = [channel for number, channel in summary.channels.items() if counts.get(number)]
                schemas = [summary.schemas.get(channel.schema_id) for channel in channels]
        except _damage():
            return None
        told = zip(channels, schemas, strict=True)
        return {c.topic: schema.name if schema else c.message_encoding for c, schema in told}

    def told_topics(self) -> str:
        """The topics in words."""
        return ", ".join(f"{topic} ({kind})" for topic, kind in self.topics().items()) or "(none)"

    def silent(self, topic: str) -> str:
        """What to say where a topic has no message."""
        return f"there is no message of '{topic}'; the bag has {self.told_topics()}"


def picture(message: Any, where: str) -> np.ndarray:
    """A sensor_msgs Image or CompressedImage as (H, W, 3) uint8 RGB; BadInput for other encodings."""
    if not hasattr(message, "encoding"):
        if not hasattr(message, "data"):
            raise BadInput(f"{where}: is no sensor_msgs/Image or CompressedImage; map another topic")
        return decode_image(bytes(message.data), where)
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise BadInput(f"{where}: has the encoding '{message.encoding}'; readable are {', '.join(_CHANNELS)}")
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(bytes(message.data), np.uint8)
    if min(height, width) < 1 or step < width * channels or data.size < height * step:
        raise BadInput(f"{where}: {data.size} bytes are not {height}x{width} in '{message.encoding}'")
    image = (
        data[: height * step].reshape(height, step)[:, : width * channels].reshape(height, width, channels)
    )
    if channels == 1:
        return np.repeat(image, 3, 2)
    swapped = message.encoding.startswith("bgr") or message.encoding == "8UC3"  # as OpenCV has it
    return np.ascontiguousarray(image[..., 2::-1] if swapped else image[..., :3])


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
