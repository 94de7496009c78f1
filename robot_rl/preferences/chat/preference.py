"""From what a model said of pictures shown in some order to a Preference about the pair as given."""

from __future__ import annotations

import dataclasses

from robot_rl.preferences.chat.answer import Said
from robot_rl.preferences.types import Order, Outcome, Preference

NAME = "chat"
OTHER: dict[Order, Order] = {"given": "swapped", "swapped": "given"}


def preference(said: Said, model: str, version: str, shown: Order, order: Order) -> Preference:
    """Say a choice of the pair as given; `shown` is the order of this call, `order` the question's own."""
    outcome, p = Outcome.PREFERENCE, said.p_second
    if said.choice in ("tie", "cannot_tell"):
        outcome, p = Outcome(said.choice), 0.5 if said.choice == "tie" else None
    elif p is None:
        p = float(said.choice == "second")
    if outcome is Outcome.PREFERENCE and shown == "swapped":
        p = 1.0 - p
    return Preference(outcome, p, NAME, model, version, order, rationale=said.evidence)


def failed(reason: str, model: str, version: str, order: Order) -> Preference:
    """A question without an answer, and why."""
    return Preference(Outcome.FAILED, None, NAME, model, version, order, error=reason)


def merge(first: Preference, other: Preference) -> Preference:
    """Make one Preference of the answers in both orders, which are both about the pair as given.

    Two preferences for one side: their mean p. Two for different sides, or one of them a tie: a tie. Where
    either failed or could not tell, so did the whole.
    """
    for answer in (first, other):
        if answer.outcome is Outcome.FAILED:
            return dataclasses.replace(answer, error=f"in one of both orders: {answer.error}")
        if answer.outcome is Outcome.CANNOT_TELL:
            return answer
    why = " | ".join(text for text in (first.rationale, other.rationale) if text)
    agree = first.outcome is other.outcome is Outcome.PREFERENCE and (first.p - 0.5) * (other.p - 0.5) >= 0
    if agree:
        return dataclasses.replace(first, p=(first.p + other.p) / 2, rationale=why)
    return dataclasses.replace(first, outcome=Outcome.TIE, p=0.5, rationale=why)
