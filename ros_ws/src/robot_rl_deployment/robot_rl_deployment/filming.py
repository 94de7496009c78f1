"""Keeps pictures of a practising robot's first and latest tries, as its first camera shows them."""

from __future__ import annotations

from pathlib import Path

from rclpy.node import Node
from sensor_msgs.msg import Image

from robot_rl.cli.reset_free_film import Film
from robot_rl.deploy.pictures import picture_of
from robot_rl.deploy.remote_practice import RemotePractice
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract
from robot_rl_deployment.common import LATEST

_PICTURES = 7  # of the longest try, the last one besides


class Filming:
    """Looks at a practice; the strips go into film/ of its folder."""

    def __init__(self, node: Node, contract: RobotContract, practice: RemotePractice, folder: Path) -> None:
        """The robot has a camera; raises BadInput where what draws is not installed."""
        import robot_rl.report.drawing  # noqa: F401 (writes the strips; imported while nothing moves yet)

        self._node, self._practice, self._newest = node, practice, None
        longest = max(practice.supervisor.rules.time_out.values())
        self._film = Film(folder, max(longest // _PICTURES, 1))
        camera = next(iter(contract.cameras.values()))
        node.create_subscription(Image, camera.topic, self._seen, LATEST)
        practice.when_ended = self._ended

    def _seen(self, message: Image) -> None:
        self._newest = message

    def look(self) -> None:
        """Take a picture where one is due; call it at each control step."""
        if self._newest is not None and self._practice.acting and self._film.wants():
            try:
                self._film.add(picture_of(self._newest))
            except BadInput as error:
                self._node.get_logger().warning(f"film: {error}", throttle_duration_sec=60.0)

    def _ended(self, episode: int, task: str, why: str) -> None:
        try:
            self._film.end(episode, task, why, picture_of(self._newest) if self._newest else None)
        except (BadInput, OSError) as error:  # practice goes on without
            self._node.get_logger().warning(f"film: {error}", throttle_duration_sec=60.0)


def filming(node: Node, contract: RobotContract, practice: RemotePractice, folder: Path) -> Filming | None:
    """A `Filming`, or None and a warning where what it needs is not installed."""
    try:
        return Filming(node, contract, practice, folder)
    except BadInput as error:
        node.get_logger().warning(f"no film: {error}")
        return None
