"""Ask a labeler about frame pairs, paying for no answer twice.

Takes frames of a dataset and a labeler, goes through the label store, and returns preferences for
the reward model.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from robot_rl.errors import RobotRLError
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.turn import turn
from robot_rl.preferences.types import (
    FrameSource,
    Labeler,
    Order,
    Outcome,
    Pair,
    Preference,
    Question,
    StreamingLabeler,
    image_hash,
)

_FRAMES_AT_ONCE = 128  # bounds memory while hashing: 128 images of 480x640 are 118 MB
_SYNC_SECONDS = 1.0  # what a power cut may cost of paid answers, against a disk sync each; a kill costs none


def make_questions(
    pairs: Sequence[Pair], frames: FrameSource, task: str, opposite: str = "", order: Order = "given"
) -> list[Question]:
    """Make one question for each pair; every frame is read and hashed once, in sorted order."""
    indices = np.unique(np.array([(pair.first, pair.second) for pair in pairs], dtype=np.int64))
    hashes: dict[int, str] = {}
    for start in range(0, len(indices), _FRAMES_AT_ONCE):
        some = indices[start : start + _FRAMES_AT_ONCE]
        hashes.update({int(i): image_hash(image) for i, image in zip(some, frames(some), strict=True)})
    return [Question(pair, task, opposite, hashes[pair.first], hashes[pair.second], order) for pair in pairs]


def label_pairs(
    labeler: Labeler,
    questions: Sequence[Question],
    frames: FrameSource,
    store: LabelStore,
    batch_size: int = 16,
    progress: Callable[[int], object] | None = None,
    say: Callable[[str], object] | None = None,
) -> list[Preference]:
    """Answer every question, from the store where it can; returns them in the questions' order.

    Each batch is stored in one transaction as it comes (each answer of a StreamingLabeler at once), so a
    killed run resumes and a rerun makes no call. Questions of equal content are asked once, also by two runs
    at once: the second waits for the first, and `say` is told so in a line. `progress` is told how many more
    are answered. Raises RobotRLError where the labeler does not answer each question once.
    """
    keys = [question.key(labeler.name, labeler.identity) for question in questions]
    answers = store.get(keys)
    told = partial(_tell, progress or (lambda count: None), Counter(keys))
    told(answers)
    if len(answers) < len(set(keys)):
        with turn(store.path, labeler, say or (lambda line: None)):
            before = set(answers)
            answers = store.get(keys)  # another run may have asked meanwhile
            told(answers.keys() - before)
            missing = {key: q for key, q in zip(keys, questions, strict=True) if key not in answers}
            answers.update(_ask_all(labeler, missing, frames, store, batch_size, told))
    return [answers[key] for key in keys]


def _ask_all(
    labeler: Labeler,
    missing: Mapping[str, Question],
    frames: FrameSource,
    store: LabelStore,
    batch_size: int,
    told: Callable[[Iterable[str]], None],
) -> dict[str, Preference]:
    """Ask all at once where the labeler streams, else batch by batch."""
    if isinstance(labeler, StreamingLabeler):
        return _stream(labeler, missing, frames, store, told)
    answers: dict[str, Preference] = {}
    todo = list(missing.items())
    for start in range(0, len(todo), batch_size):
        batch = dict(todo[start : start + batch_size])
        answers.update(_ask(labeler, batch, frames, store))
        told(batch)
    return answers


def _tell(report: Callable[[int], object], asked: Counter[str], keys: Iterable[str]) -> None:
    """Report how many questions the answers to these keys settle."""
    report(sum(asked[key] for key in keys))


def _stream(
    labeler: StreamingLabeler,
    todo: Mapping[str, Question],
    frames: FrameSource,
    store: LabelStore,
    told: Callable[[Iterable[str]], None],
) -> dict[str, Preference]:
    """Ask everything at once and store each answer as it comes; the disk is synced about once a second."""
    keys, given = list(todo), {}
    synced = time.monotonic()
    try:
        for index, answer in labeler.answers(list(todo.values()), frames):
            due = time.monotonic() - synced >= _SYNC_SECONDS
            store.put({keys[index]: answer}, sync=due)
            synced = time.monotonic() if due else synced
            given[keys[index]] = answer
            told([keys[index]])
    finally:
        store.sync()
    return _settled(labeler, todo, given, store)


def _ask(
    labeler: Labeler, batch: dict[str, Question], frames: FrameSource, store: LabelStore
) -> dict[str, Preference]:
    """Ask one batch and store it; what was answered before an error or Ctrl-C is stored as well."""
    given: dict[str, Preference] = {}
    keys = iter(batch)
    try:
        for answer in labeler.label(list(batch.values()), frames):
            key = next(keys, None)
            if key is None:
                raise RobotRLError(
                    f"labeler '{labeler.name}' gave more answers than the {len(batch)} questions"
                )
            given[key] = answer
    finally:
        if given:
            store.put(given)
    return _settled(labeler, batch, given, store)


def _settled(
    labeler: Labeler, asked: Mapping[str, Question], given: Mapping[str, Preference], store: LabelStore
) -> dict[str, Preference]:
    """The answers that stand; raises RobotRLError where a question was not answered."""
    if len(given) < len(asked):
        raise RobotRLError(f"labeler '{labeler.name}' gave {len(given)} answers to {len(asked)} questions")
    # Another run may have been first; its answers stand, and a rerun must see what this run saw.
    failed = {key: answer for key, answer in given.items() if answer.outcome is Outcome.FAILED}
    return failed | store.get(asked)
