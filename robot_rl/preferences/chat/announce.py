"""Says, before the first picture leaves this machine, how many will go where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Question

_SAMPLE = 16  # frames that are encoded to learn their size


def announcement(
    labeler: ChatLabeler, questions: Sequence[Question], frames: FrameSource, store: LabelStore | None = None
) -> str:
    """One line for the user: "N images (about M KB) of K pairs go to HOST"; nothing is sent yet.

    Where each is asked about alone it is K pictures.

    Questions that `store` answers and repeated ones are not counted, further tries are not foreseen.
    """
    keys = {question.key(labeler.name, labeler.identity): question for question in questions}
    known = store.get(keys) if store else {}
    asked = [question for key, question in keys.items() if key not in known]
    host = labeler.config.host
    pictures = labeler.setup.prompt.pictures
    what = "pairs" if pictures == 2 else "pictures"
    if not asked:
        return f"no image goes to {host}: all {len(questions):,} {what} are answered in the label store"
    uploads = pictures * len(asked) * (2 if labeler.config.both_orders == "always" else 1)
    size = uploads * _mean_size(asked, frames, labeler.config) / 1000
    there = " (this machine)" if labeler.config.loopback else ""
    return f"{uploads:,} images (about {size:,.0f} KB) of {len(asked):,} {what} go to {host}{there}"


def _mean_size(questions: Sequence[Question], frames: FrameSource, config: ChatConfig) -> float:
    """Mean bytes of an image as it is sent, from a few spread over the questions."""
    some = np.unique([q.shown for q in questions])
    some = some[np.linspace(0, len(some) - 1, min(_SAMPLE, len(some))).astype(int)]
    return float(np.mean([len(data_uri(image, config)) for image in frames(some)]))
