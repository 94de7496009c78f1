"""What every labeler must pass: `check_labeler(labeler, frames, pairs, ...)` from the labeler's own test."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Labeler, Outcome, Pair, Preference, Question

_TIMING = ("latency", "cost", "tokens")  # may differ between two equal answers


class CountingLabeler:
    """Passes questions on to a labeler and remembers them."""

    def __init__(self, labeler: Labeler) -> None:
        self.inner = labeler
        self.name = labeler.name
        self.asked: list[Question] = []

    @property
    def identity(self):
        return self.inner.identity

    def label(self, questions: Sequence[Question], frames: FrameSource):
        self.asked += questions
        return self.inner.label(questions, frames)


def check_labeler(
    make: Callable[[], Labeler],
    frames: FrameSource,
    pairs: Sequence[Pair],
    folder: Path,
    task: str = "open the drawer",
    opposite: str = "close the drawer",
) -> None:
    """Run the whole contract; `make` returns a fresh labeler each time, `folder` is an empty one."""
    given = make_questions(pairs, frames, task, opposite)
    swapped = make_questions(pairs, frames, task, opposite, order="swapped")
    check_identity(make())
    for questions in (given, swapped):
        check_answers(make(), questions, frames)
        check_answers_follow_their_questions(make(), questions, frames)
        check_deterministic(make, questions, frames)
    check_swapped_shows_the_other_order(make(), given, swapped, frames)
    check_never_pays_twice(make(), [*given, *swapped], frames, folder / "labels.sqlite")


def check_identity(labeler: Labeler) -> None:
    """The identity is plain JSON with the three entries, and stable."""
    assert isinstance(labeler, Labeler)
    assert labeler.name
    assert {"model", "prompt_version", "params"} <= set(labeler.identity)
    assert json.loads(json.dumps(labeler.identity)) == labeler.identity == labeler.identity


def check_answers(labeler: Labeler, questions: Sequence[Question], frames: FrameSource) -> None:
    """One Preference a question, with this labeler's name and the question's order, p in range."""
    answers = list(labeler.label(questions, frames))
    assert len(answers) == len(questions)
    for question, answer in zip(questions, answers, strict=True):
        assert isinstance(answer, Preference)
        assert answer.order == question.order
        assert answer.labeler == labeler.name
        assert answer.model == labeler.identity["model"]
        assert answer.prompt_version == labeler.identity["prompt_version"]
        if answer.outcome is Outcome.PREFERENCE:
            assert answer.p is not None and 0.0 <= answer.p <= 1.0
    assert list(labeler.label([], frames)) == []


def check_answers_follow_their_questions(
    labeler: Labeler, questions: Sequence[Question], frames: FrameSource
) -> None:
    """Turning the batch round turns the answers round: an answer belongs to its question, not its place."""
    forward = [meaning(a) for a in labeler.label(questions, frames)]
    backward = [meaning(a) for a in labeler.label(questions[::-1], frames)]
    assert backward[::-1] == forward


def check_deterministic(
    make: Callable[[], Labeler], questions: Sequence[Question], frames: FrameSource
) -> None:
    """A fresh labeler with the same parameters gives the same answers."""
    assert [meaning(a) for a in make().label(questions, frames)] == [
        meaning(a) for a in make().label(questions, frames)
    ]


def check_swapped_shows_the_other_order(
    labeler: Labeler, given: Sequence[Question], swapped: Sequence[Question], frames: FrameSource
) -> None:
    """Showing (a, b) swapped is showing (b, a): the same images are seen, and p is turned back."""
    mirrored = [
        dataclasses.replace(
            q,
            pair=Pair(q.pair.second, q.pair.first),
            first_hash=q.second_hash,
            second_hash=q.first_hash,
            order="given",
        )
        for q in swapped
    ]
    assert [q.shown for q in mirrored] == [q.shown for q in swapped] == [q.shown[::-1] for q in given]
    turned, straight = list(labeler.label(swapped, frames)), list(labeler.label(mirrored, frames))
    assert [a.outcome for a in turned] == [a.outcome for a in straight]
    for one, other in zip(turned, straight, strict=True):
        if one.p is not None:
            np.testing.assert_allclose(one.p, 1.0 - other.p, atol=1e-6)


def check_never_pays_twice(
    labeler: Labeler, questions: Sequence[Question], frames: FrameSource, path: Path
) -> None:
    """Through the store every content is asked once; a rerun on the reopened store asks nothing."""
    counting = CountingLabeler(labeler)
    with LabelStore(path) as store:
        first = label_pairs(counting, [*questions, *questions], frames, store, batch_size=3)
    keys = [q.key(labeler.name, labeler.identity) for q in counting.asked]
    assert len(keys) == len(set(keys))
    counting.asked.clear()
    with LabelStore(path) as store:
        again = label_pairs(counting, questions, frames, store)
    failed = sum(answer.outcome is Outcome.FAILED for answer in first[: len(questions)])
    assert len(counting.asked) <= failed
    if not failed:
        assert again == first[: len(questions)] == first[len(questions) :]


def meaning(answer: Preference) -> Preference:
    """The answer without what a clock or a bill decides."""
    return dataclasses.replace(answer, **dict.fromkeys(_TIMING, 0))
