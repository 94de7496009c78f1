"""What a preference is: the question put to a labeler, its answer, and the Protocol of labelers.

Questions are made from a dataset's frames (`run.make_questions`); answers go to the label store.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from robot_rl.errors import BadInput, nearest

Order = Literal["given", "swapped"]
# Global frame indices (n,) int64 -> images (n, H, W, 3) uint8, as by partial(dataset.frames, "front").
FrameSource = Callable[[np.ndarray], np.ndarray]


class Outcome(str, Enum):  # noqa: UP042 - a plain str mixin keeps equality with the stored text
    """What came of a question; the four are different things and never stand in for one another."""

    PREFERENCE = "preference"  # a probability, however close to one half
    TIE = "tie"  # the labeler looked and says: equally near the goal
    CANNOT_TELL = "cannot_tell"  # the labeler looked and the images do not show it
    FAILED = "failed"  # there is no answer: time-out, refused, unreadable; asked again next time


@dataclass(frozen=True)
class Preference:
    """One labeler's answer to one question; raises BadInput where its fields contradict each other."""

    outcome: Outcome
    p: float | None = None  # probability in [0, 1] that the pair's second frame is nearer the goal
    labeler: str = ""
    model: str = ""
    prompt_version: str = ""
    order: Order = "given"  # the order in which the frames were shown; p is about the pair as given
    rationale: str = ""
    tokens: int = 0
    cost: float = 0.0  # USD
    latency: float = 0.0  # s
    error: str = ""  # why it failed; empty for every other outcome

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "outcome", Outcome(self.outcome))
        except ValueError:
            raise BadInput(
                f"preference: outcome '{self.outcome}' is unknown."
                + nearest(str(self.outcome), [o.value for o in Outcome])
            ) from None
        if self.p is not None:
            object.__setattr__(self, "p", float(self.p))  # a NumPy float32 would reach SQLite as bytes
        _check_probability(self.outcome, self.p)
        _check_order(self.order, "preference")
        if (self.outcome is Outcome.FAILED) != bool(self.error):
            raise BadInput(
                f"preference: error must say why when the outcome is 'failed' and be empty otherwise; "
                f"the outcome is '{self.outcome.value}' and error is {self.error!r}"
            )
        for name in ("tokens", "cost", "latency"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInput(f"preference: {name} must be finite and >= 0, not {value}")


def _check_probability(outcome: Outcome, p: float | None) -> None:
    """Hold p to what the outcome allows; raises BadInput."""
    rule = {
        Outcome.PREFERENCE: "p must be a probability in [0, 1]",
        Outcome.TIE: "p must be 0.5",
        Outcome.CANNOT_TELL: "p must be None",
        Outcome.FAILED: "p must be None",
    }[outcome]
    holds = {
        Outcome.PREFERENCE: p is not None and 0.0 <= p <= 1.0,  # also refuses NaN
        Outcome.TIE: p == 0.5,
        Outcome.CANNOT_TELL: p is None,
        Outcome.FAILED: p is None,
    }[outcome]
    if not holds:
        raise BadInput(f"preference: with outcome '{outcome.value}' {rule}, not {p}")


def _check_order(order: str, where: str) -> None:
    """Refuse an order other than the two there are; raises BadInput."""
    if order not in ("given", "swapped"):
        raise BadInput(f"{where}: order must be 'given' or 'swapped', not {order!r}")


@dataclass(frozen=True)
class Pair:
    """Two frames of one dataset, by global frame index."""

    first: int
    second: int


@dataclass(frozen=True)
class Question:
    """Which frame of a pair is nearer the goal, and in which order the labeler is to see them."""

    pair: Pair
    task: str  # the goal as text
    opposite: str  # the text of the goal's opposite; may be empty
    first_hash: str  # image_hash of the pair's first frame
    second_hash: str
    order: Order = "given"

    def __post_init__(self) -> None:
        _check_order(self.order, "question")

    @property
    def shown(self) -> tuple[int, int]:
        """The frame indices in the order in which the labeler sees them."""
        pair = (self.pair.first, self.pair.second)
        return pair if self.order == "given" else pair[::-1]

    def key(self, labeler: str, identity: Mapping[str, Any]) -> str:
        """Name this question to this labeler by content: 64 hex digits, the same on every machine.

        Frame indices are left out, so that a re-imported or cut dataset finds its labels again.
        `identity` (model, prompt_version, params) must be JSON-able; raises BadInput otherwise.
        """
        content = {
            "images": [self.first_hash, self.second_hash],
            "order": self.order,
            "task": self.task,
            "opposite": self.opposite,
            "labeler": labeler,
            "identity": dict(identity),
        }
        try:
            text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadInput(f"labeler '{labeler}': its identity must be plain JSON values: {error}") from error
        return hashlib.sha256(text.encode()).hexdigest()


@runtime_checkable
class Labeler(Protocol):
    """Answers questions about frame pairs; `tests/preferences/conformance.py` holds what each must pass."""

    name: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that can change an answer: `model`, `prompt_version`, `params` (JSON-able)."""
        ...

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer a batch: one Preference for each question, in order, with the question's `order`.

        Frames are shown as `question.shown`; p is about the pair as given. A question that gets no
        answer yields outcome FAILED with the reason, so that its neighbours' answers are kept.
        """
        ...


@runtime_checkable
class StreamingLabeler(Labeler, Protocol):
    """A labeler whose answers come in any order, such as one that has many requests in flight."""

    def answers(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[tuple[int, Preference]]:
        """Yield (index of the question, its answer) as they come; raises after what was answered."""
        ...


def image_hash(image: np.ndarray) -> str:
    """Hash an image (H, W, 3) uint8 by shape, dtype and bytes: 64 hex digits."""
    image = np.ascontiguousarray(image)
    digest = hashlib.sha256(f"{image.shape} {image.dtype.str} ".encode())
    digest.update(image.data)
    return digest.hexdigest()
