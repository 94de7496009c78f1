"""The raw bag beside a recording: begun anew after the disk was full, and never a reason to stop a robot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from robot_rl.data.bag_write import BagWriter, Topic


class RawBag:
    """Bags in `folder`, one after another; a failure is told by `problem`, not raised."""

    def __init__(self, folder: Path, topics: Sequence[Topic], distro: str = "") -> None:
        self.problem, self.messages = "", 0
        self._folder, self._topics, self._distro = folder, topics, distro
        self._bag: BagWriter | None = self._begin()

    def _begin(self) -> BagWriter:
        name = time.strftime("%Y%m%d-%H%M%S")
        taken = {path.name for path in self._folder.glob(f"{name}*")}
        free = next(n for n in (name, *(f"{name}-{k}" for k in range(1, 1000))) if n not in taken)
        return BagWriter(self._folder / free, self._topics, self._distro)

    def write(self, topic: str, content: bytes, received: int, published: int | None = None) -> None:
        """Append a message (CDR), as `BagWriter.write`; dropped while there is a problem."""
        if self._bag is None:
            return
        try:
            self._bag.write(topic, content, received, published)
            self.messages += 1
        except OSError as error:
            self._fail(error)

    def sync(self, room: bool) -> None:
        """Flush to the disk, each second; `room` says whether the disk has some, and a bag may go on."""
        try:
            if self._bag is not None and not room:
                self._bag.close()
                self._bag = None
            elif self._bag is not None:
                self._bag.flush()
            elif room:
                self._bag, self.problem = self._begin(), ""
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Finish the bag."""
        try:
            if self._bag is not None:
                self._bag.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.problem = f"the raw bag in {self._folder} cannot be written ({error.strerror}); make room"
        if self._bag is not None:
            self._bag.abandon()
            self._bag = None
