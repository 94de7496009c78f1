"""Hears topics as bytes, each once: for a bag as they came, and decoded, in order, for whoever listens."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from robot_rl.data.bag_write import Topic
from robot_rl.deploy.definitions import definition
from robot_rl.deploy.ordered import Ordered
from robot_rl.deploy.raw_bag import RawBag
from robot_rl.errors import BadInput
from robot_rl_deployment.common import message_class, wall

_DEPTH = 500  # messages that wait while the disk is slow
_LAG = 0.5  # s; an executor serves its topics in turn, so on a busy machine they are heard late


class RawTopics:
    """The raw subscriptions of a node; set `bag` to write what comes, call `release` to serve the listeners.

    A listener is called with the message and the time (s) of its publication.
    """

    def __init__(self, node: Node) -> None:
        self.known: list[Topic] = []
        self.bag: RawBag | None = None
        self.misread = ""  # what was wrong with a message, until it is cleared
        self._node = node
        self._ordered = Ordered(_LAG)
        self._listeners: dict[str, list[Callable]] = {}

    def hear(
        self,
        kind: type,
        topic: str,
        listener: Callable | None = None,
        sure: bool = True,
        latched: bool = False,
    ) -> None:
        """Subscribe to a topic; `sure`: lost messages are sent again, which its publisher must offer."""
        name = self._node.resolve_topic_name(topic)
        if name in self._listeners:
            self._listeners[name] += [listener] if listener else []
            return
        self._listeners[name] = [listener] if listener else []
        full = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
        self.known.append(Topic(name, full, definition(kind, message_class), sure, latched))
        quality = QoSProfile(
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if sure else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        received = partial(self._received, name, kind)
        self._node.create_subscription(kind, topic, received, quality, raw=True)

    def release(self, everything: bool = False) -> float:
        """Serve the listeners; returns the time (s) up to which all was heard."""
        return self._ordered.release(math.inf if everything else wall(self._node))

    def _received(self, name: str, kind: type, content: bytes, info: dict) -> None:
        now = self._node.get_clock().now().nanoseconds
        published = info["source_timestamp"] or now
        if self.bag is not None:
            self.bag.write(name, content, now, published)
        if self._listeners[name]:
            self._ordered.put(1e-9 * published, 1e-9 * now, partial(self._serve, name, kind, content))

    def _serve(self, name: str, kind: type, content: bytes, time: float) -> None:
        """Let listeners have a message; one that they cannot use must not end the recording."""
        message = deserialize_message(content, kind)
        for listener in self._listeners[name]:
            try:
                listener(message, time)
            except (BadInput, LookupError, ValueError) as error:
                self.misread = f"{name}: {error}"
