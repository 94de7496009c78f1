"""Is the goal reached in this picture? One yes or no a frame, from a labeler that is asked about it alone.

A frame is a pair of itself, so that questions, answers and the label store are those of preferences, and p is
the probability of yes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Labeler, Outcome, Pair, Question


@dataclass(frozen=True)
class GoalAnswers:
    """What was said of n frames."""

    p: np.ndarray  # (n,) float64, probability of yes; NaN where nothing usable was said
    soft: bool  # whether the labeler told probabilities of its own
    outcomes: dict[str, int]  # answers of each kind


def goal_questions(indices: np.ndarray, frames: FrameSource, task: str, opposite: str = "") -> list[Question]:
    """One question for each of the frames `indices` (n,)."""
    return make_questions([Pair(int(i), int(i)) for i in indices], frames, task, opposite)


def ask_goal(
    labelers: Sequence[Labeler],
    questions: Sequence[Question],
    frames: FrameSource,
    store: LabelStore,
    progress: Callable[[int], object] | None = None,
    say: Callable[[str], object] | None = None,
) -> GoalAnswers:
    """Ask each question through the store: the first labeler's probability, else the frequency of yes.

    The others, further samples of the same model, are asked only where the first one gave a bare yes or no;
    p is then the mean of all. Nothing that the store knows is asked again.
    """
    total, count = np.zeros(len(questions)), np.zeros(len(questions), np.int64)
    outcomes = {kind.value: 0 for kind in Outcome}
    todo, soft = np.arange(len(questions)), False
    for labeler in labelers:
        asked = [questions[i] for i in todo]
        answers = label_pairs(labeler, asked, frames, store, progress=progress, say=say)
        for answer in answers:
            outcomes[answer.outcome.value] += 1
        p = np.array([np.nan if answer.p is None else answer.p for answer in answers], np.float64)
        known = np.isfinite(p)
        total[todo[known]] += p[known]
        count[todo[known]] += 1
        if labeler is labelers[0]:
            bare = (p == 0) | (p == 1)
            soft, todo = bool((known & ~bare).any()), todo[bare]
    mean = np.divide(total, count, out=np.full(len(questions), np.nan), where=count > 0)
    return GoalAnswers(mean, soft, outcomes)
