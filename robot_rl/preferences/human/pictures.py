"""The pictures that the page shows: frames by image hash, read when they are wanted and sent as PNG."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from robot_rl.data.video_write import encode_png
from robot_rl.preferences.types import FrameSource, Question

_KEPT = 128  # encoded pictures kept for other raters and for undo


class Pictures:
    """Frames of some questions as PNG; many threads may ask, one at a time reads."""

    def __init__(self, questions: Iterable[Question], frames: FrameSource) -> None:
        self._frames = frames
        self._index: dict[str, int] = {}
        for question in questions:
            self._index[question.first_hash] = question.pair.first
            self._index[question.second_hash] = question.pair.second
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()  # a dataset's video readers stand at one place at a time

    def png(self, name: str) -> bytes:
        """The picture with this hash; raises KeyError where no question shows it."""
        index = self._index[name]
        with self._lock:
            if name not in self._kept:
                self._kept[name] = encode_png(self._frames(np.array([index]))[0])
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return self._kept[name]
