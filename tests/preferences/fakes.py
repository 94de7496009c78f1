"""A labeler without a model, for tests: the brighter frame is nearer the goal."""

from __future__ import annotations

import numpy as np

from robot_rl.preferences.types import Outcome, Preference


def brightness_frames(count: int = 12):
    """A frame source of `count` images (4, 5, 3) uint8 whose brightness is known by index."""
    levels = np.random.default_rng(0).permutation(count) * (255 // count)
    images = np.broadcast_to(levels[:, None, None, None], (count, 4, 5, 3)).astype(np.uint8)
    return lambda indices: images[np.asarray(indices)]


class BrightLabeler:
    """Compares mean brightness of the images it is shown; ties and darkness have their own outcomes."""

    name = "bright"

    def __init__(self, model: str = "mean", cost: float = 0.01) -> None:
        self.identity = {"model": model, "prompt_version": "1", "params": {"scale": 64.0}}
        self.cost = cost

    def label(self, questions, frames):
        for question in questions:
            left, right = (float(image.mean()) for image in frames(np.array(question.shown)))
            yield self._answer(question, left, right)

    def _answer(self, question, left, right):
        p = 1.0 / (1.0 + float(np.exp((left - right) / 64.0)))
        outcome = Outcome.PREFERENCE
        if left == right:
            outcome, p = Outcome.TIE, 0.5
        elif min(left, right) == 0.0:
            outcome, p = Outcome.CANNOT_TELL, None
        elif question.order == "swapped":
            p = 1.0 - p
        return Preference(
            outcome, p, self.name, self.identity["model"], "1", question.order, tokens=10, cost=self.cost
        )
