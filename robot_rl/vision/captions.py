"""Sentences from a task card's words, and which levels each of them is true of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.specs.tasks import Scale


@dataclass(frozen=True)
class Captions:
    """All sentences that teach an in-domain model; -1 where a sentence says nothing of a scale."""

    texts: tuple[str, ...]
    levels: np.ndarray  # (texts, scales) int64

    def true_of(self, levels: np.ndarray) -> np.ndarray:
        """(frames, texts) bool: which sentences are true of frames with these levels (frames, scales)."""
        claims = self.levels[None]
        return ((claims == levels[:, None]) | (claims < 0)).all(-1)


def captions(scales: Sequence[Scale]) -> Captions:
    """Make every sentence on one scale and every pairing of two scales' sentences."""
    texts, claims = [], []
    for index, scale in enumerate(scales):
        for level in range(len(scale.levels)):
            for text in sentences(scale, level):
                texts.append(text)
                claims.append([level if i == index else -1 for i in range(len(scales))])
    for one, other in itertools.combinations(range(len(scales)), 2):
        for a, b in itertools.product(range(len(scales[one].levels)), range(len(scales[other].levels))):
            pairs = zip(sentences(scales[one], a), sentences(scales[other], b), strict=False)
            for turn, (first, second) in enumerate(itertools.islice(pairs, 2)):
                texts.append(f"{second} and {first}" if turn == 0 else f"{first}, {second}")
                claims.append([{one: a, other: b}.get(i, -1) for i in range(len(scales))])
    return Captions(tuple(texts), np.array(claims))


def sentences(scale: Scale, level: int) -> list[str]:
    """Say one level in all the ways that the card offers."""
    return [subject.format(words) for words in scale.levels[level].say for subject in scale.subject]
