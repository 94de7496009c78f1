"""Decides which questions each rater gets, in which order, and which picture he sees first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_rl.preferences.human.answer import NAME, identity
from robot_rl.preferences.human.config import HumanConfig
from robot_rl.preferences.types import Question


@dataclass(frozen=True)
class Turn:
    """One question as one rater is to see it."""

    question: Question  # in the order in which this rater sees it
    key: str  # Question.key of it, to this rater
    indices: tuple[int, ...]  # of the questions asked that are of this content
    shared: bool = False  # whether every rater gets it


def plan(questions: Sequence[Question], config: HumanConfig) -> dict[str, list[Turn]]:
    """Give each rater his turns; the same questions, raters, share and seed give the same plan.

    The shared questions come in one relative order to all, so that raters who stop early have met the same
    ones; the others are divided, and each rater's are spread between the shared ones by a draw of his own.
    """
    contents = _contents(questions)
    chosen = np.random.default_rng(config.seed).permutation(len(contents))
    many = len(config.raters) > 1
    count = round(config.shared * len(contents)) if many else 0
    shared, rest = chosen[:count], chosen[count:]
    plans = {}
    for place, rater in enumerate(sorted(config.raters)):
        own = rest[place :: len(config.raters)]
        ranked = [(at, i, True) for at, i in _spread(shared, rater, config.seed, 0)]
        ranked += [(at, i, False) for at, i in _spread(own, rater, config.seed, 1)]
        plans[rater] = [
            _turn(questions, contents[i], rater, config, is_shared) for _, i, is_shared in sorted(ranked)
        ]
    return {rater: plans[rater] for rater in config.raters}


def turns_as_given(questions: Sequence[Question], rater: str, config: HumanConfig) -> list[Turn]:
    """One turn for each question and order asked, as they come: nothing is tossed."""
    found: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        found.setdefault(question.key(NAME, identity(rater, config)), []).append(index)
    return [Turn(questions[same[0]], key, tuple(same)) for key, same in found.items()]


def every_turn(questions: Sequence[Question], rater: str, config: HumanConfig) -> list[Turn]:
    """Each question as this rater would see it, whether or not it is dealt to him."""
    return [_turn(questions, same, rater, config, False) for same in _contents(questions)]


def keys_of(question: Question, rater: str, config: HumanConfig) -> tuple[str, str]:
    """The question's key to a rater, and its key with the other picture first."""
    other = replace(question, order="swapped" if question.order == "given" else "given")
    who = identity(rater, config)
    return question.key(NAME, who), other.key(NAME, who)


def _contents(questions: Sequence[Question]) -> list[tuple[int, ...]]:
    """Group the indices of questions that ask the same, whichever picture they show first."""
    found: dict[tuple[str, ...], list[int]] = {}
    for index, q in enumerate(questions):
        found.setdefault((q.first_hash, q.second_hash, q.task, q.opposite), []).append(index)
    return [tuple(same) for same in found.values()]


def _spread(chosen: np.ndarray, rater: str, seed: int, which: int) -> list[tuple[float, int]]:
    """Place items evenly over [0, 1) in their order, each at random within its own stretch."""
    own = int.from_bytes(hashlib.sha256(rater.encode()).digest()[:8], "big")
    draws = np.random.default_rng([seed, own, which]).random(len(chosen))
    return [((k + draw) / len(chosen), int(i)) for k, (i, draw) in enumerate(zip(chosen, draws, strict=True))]


def _turn(
    questions: Sequence[Question], same: tuple[int, ...], rater: str, config: HumanConfig, shared: bool
) -> Turn:
    """Toss which picture comes first; the pictures decide with the seed, so that a rerun tosses alike."""
    question = questions[same[0]]
    text = f"{config.seed}|{rater}|{question.first_hash}|{question.second_hash}"
    head = hashlib.sha256(text.encode()).digest()[0] % 2 == 0
    question = replace(question, order="given" if head else "swapped")
    return Turn(question, question.key(NAME, identity(rater, config)), same, shared)
