"""The labeler `clip`: which of two pictures is nearer the goal, by likeness to ordered sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rl.preferences.types import FrameSource, Outcome, Preference, Question, image_hash
from robot_rl.specs.tasks import Scale
from robot_rl.vision.captions import sentences
from robot_rl.vision.encoder import ImageTextEncoder


@dataclass(frozen=True)
class Ladder:
    """Sentences in order, from farthest from the goal to nearest; each rung may be said in several ways."""

    rungs: tuple[tuple[str, ...], ...]


def ladders(task: str, opposite: str, scales: Sequence[Scale] = ()) -> tuple[Ladder, ...]:
    """Make the ladders to judge by: a card's scales, or the task's text against its opposite alone."""
    if not scales:
        return (Ladder(((opposite,), (task,))),)
    return tuple(
        Ladder(tuple(tuple(sentences(scale, level)) for level in range(len(scale.levels))))
        for scale in scales
    )


class ClipLabeler:
    """Scores each picture by the expected rung on every ladder and compares the sums.

    A ladder's score is sum_k (k / (K - 1)) softmax_k(scale * cos(picture, rung k)), in [0, 1]; all ladders
    count the same. A goal picture, where there is one, adds cos(picture, goal picture); a strip's score is
    the mean of its frames'. p = sigmoid((score_second - score_first) / temperature).
    """

    name = "clip"

    def __init__(
        self,
        encoder: ImageTextEncoder,
        steps: Sequence[Ladder],
        temperature: float = 0.1,
        tie: float = 0.02,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
        moments: Callable[[np.ndarray], np.ndarray] | None = None,
        goal_image: np.ndarray | None = None,
    ) -> None:
        """`temperature` and `tie` (no preference below this distance from one half) are in score and p.

        `embed` maps frame indices (n,) to vectors (n, D) that are known already; `moments` maps them to the
        frames (n, S) of their strips, and needs `embed`. `goal_image` (H, W, 3) uint8 shows the goal reached.
        """
        self._encoder, self._ladders, self._temperature, self._tie = encoder, tuple(steps), temperature, tie
        self._embed, self._moments = embed, moments
        self._goal = None if goal_image is None else encoder.images(goal_image[None])[0]
        self._goal_hash = "" if goal_image is None else image_hash(goal_image)
        self._rungs = [_rung_vectors(encoder, ladder) for ladder in self._ladders]

    @property
    def identity(self) -> Mapping[str, Any]:
        encoder = self._encoder.identity
        params = {
            "weights": encoder["weights"],
            "temperature": self._temperature,
            "tie": self._tie,
            "ladders": [[list(rung) for rung in ladder.rungs] for ladder in self._ladders],
        }
        if self._goal is not None:
            params["goal_image"] = self._goal_hash
        return {
            "model": f"{encoder['kind']}: {encoder['model']}",
            "prompt_version": "ladders-1",
            "params": params,
        }

    def score(self, vectors: np.ndarray) -> np.ndarray:
        """Return (n,) float64 scores of picture vectors (n, D): 0 farthest, number of ladders nearest."""
        total = np.zeros(len(vectors))
        for rungs in self._rungs:
            logits = self._encoder.scale * vectors.astype(np.float64) @ rungs.T
            share = np.exp(logits - logits.max(1, keepdims=True))
            share /= share.sum(1, keepdims=True)
            total += share @ np.linspace(0.0, 1.0, len(rungs))
        if self._goal is not None:
            total += vectors.astype(np.float64) @ self._goal
        return np.round(total, 6)

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer a batch; every picture is embedded once."""
        wanted = np.unique([index for question in questions for index in question.shown]).astype(np.int64)
        if not len(wanted):
            return
        scores = dict(zip(wanted.tolist(), self._scores(wanted, frames).tolist(), strict=True))
        identity = self.identity
        for question in questions:
            gap = scores[question.pair.second] - scores[question.pair.first]
            p = float(np.round(1.0 / (1.0 + np.exp(-gap / self._temperature)), 6))
            tie = abs(p - 0.5) < self._tie
            yield Preference(
                Outcome.TIE if tie else Outcome.PREFERENCE,
                p=0.5 if tie else p,
                labeler=self.name,
                model=identity["model"],
                prompt_version=identity["prompt_version"],
                order=question.order,
            )

    def _scores(self, wanted: np.ndarray, frames: FrameSource) -> np.ndarray:
        """Scores (n,) of frames, or of the strips that end with them."""
        if self._moments is not None:
            moments = self._moments(wanted)
            return self.score(self._embed(moments.reshape(-1))).reshape(moments.shape).mean(1)
        return self.score(self._embed(wanted) if self._embed else self._encoder.images(frames(wanted)))


def _rung_vectors(encoder: ImageTextEncoder, ladder: Ladder) -> np.ndarray:
    """Average each rung's sentences into one unit vector, (K, D)."""
    means = np.stack([encoder.texts(rung).mean(0) for rung in ladder.rungs]).astype(np.float64)
    return means / np.linalg.norm(means, axis=1, keepdims=True)
