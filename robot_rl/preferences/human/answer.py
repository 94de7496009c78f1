"""From what a rater chose on the page to a Preference about the pair as it was given."""

from __future__ import annotations

from typing import Any

from robot_rl.preferences.human.config import HumanConfig
from robot_rl.preferences.types import Outcome, Preference, Question

NAME = "human"
PAGE = "page-1"  # version of the page's wording and looks: what a rater sees decides what he answers
CHOICES = ("first", "second", "tie", "cannot_tell")  # first and second as shown
NOT_ANSWERED = "not answered yet"


def identity(rater: str, config: HumanConfig) -> dict[str, Any]:
    """All that can change an answer; the address that the page is served at is not among it."""
    return {"model": rater, "prompt_version": PAGE, "params": config.answer_params()}


def preference(question: Question, choice: str, seconds: float, rater: str) -> Preference:
    """Turn one of CHOICES, made about the pictures as shown, into a Preference about the pair as given."""
    outcome = {"tie": Outcome.TIE, "cannot_tell": Outcome.CANNOT_TELL}.get(choice, Outcome.PREFERENCE)
    p = None if outcome is Outcome.CANNOT_TELL else 0.5
    if outcome is Outcome.PREFERENCE:
        p = float((choice == "second") == (question.order == "given"))
    return Preference(outcome, p, NAME, rater, PAGE, question.order, latency=seconds)


def category(answer: Preference) -> str:
    """Name what an answer says of the pair as given: one of CHOICES; soft ones go to the likelier side."""
    if answer.p is None:
        return "cannot_tell"
    return "tie" if answer.p == 0.5 else ("first" if answer.p < 0.5 else "second")


def unanswered(question: Question, rater: str) -> Preference:
    """The answer to a question that nobody answered."""
    return Preference(Outcome.FAILED, None, NAME, rater, PAGE, question.order, error=NOT_ANSWERED)
