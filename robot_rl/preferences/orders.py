"""The answers to one pair in both orders, made one."""

from __future__ import annotations

import dataclasses

from robot_rl.preferences.types import Order, Outcome, Preference

OTHER: dict[Order, Order] = {"given": "swapped", "swapped": "given"}


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
