"""From what a model said of pictures shown in some order to a Preference about the pair as given."""

from __future__ import annotations

from robot_rl.preferences.chat.answer import Said
from robot_rl.preferences.types import Order, Outcome, Preference

NAME = "chat"


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
