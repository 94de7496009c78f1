"""How sure a chat model was: probability of its choice from the log probabilities of its tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from robot_rl.preferences.chat.prompt import NUMBERS, WORDS, YES_NO, Answers, Choice
from robot_rl.preferences.chat.reply import first_choice


def choice_probability(reply: Mapping[str, Any], answers: Answers) -> float | None:
    """P(second) / (P(first) + P(second)) from the log probabilities where the choice was written.

    None where the server sent none that can be used.
    """
    logprobs = first_choice(reply).get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(tokens, list) or not all(isinstance(t, Mapping) for t in tokens):
        return None
    place = _choice_token(tokens, answers)
    if place is None:
        return None
    token, before = place
    mass = {"first": 0.0, "second": 0.0}
    for text, logprob in _alternatives(token):
        choice = _begins(text[len(before) :], answers) if text.startswith(before) else None
        if choice in mass and math.isfinite(logprob) and logprob <= 1e-3:
            mass[choice] += math.exp(min(logprob, 0.0))
    total = mass["first"] + mass["second"]
    return mass["second"] / total if total > 0 else None


def _choice_token(tokens: list[Mapping[str, Any]], answers: Answers) -> tuple[Mapping[str, Any], str] | None:
    """Find the token in which the choice begins, and the characters of it that come before."""
    text = "".join(str(token.get("token", "")) for token in tokens)
    begins = {"choice": "[fst1c]", "yes_no": "[ync]"}.get(answers)
    key = rf'"choice"\s*:\s*"\s*(?={begins})' if begins else r"(?<![\w.+-])(?=-1|0|1)"
    ends = [match.end() for match in re.finditer(key, text, re.IGNORECASE)]
    if not ends:
        return None
    start = 0
    for token in tokens:
        size = len(str(token.get("token", "")))
        if start <= ends[-1] < start + size:
            return token, str(token["token"])[: ends[-1] - start]
        start += size
    return None


def _alternatives(token: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The likeliest tokens at one place, the one that was written among them once."""
    listed = token.get("top_logprobs")
    listed = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    if token.get("token") not in [entry.get("token") for entry in listed]:
        listed = [token, *listed]
    for entry in listed:
        if isinstance(entry.get("token"), str) and isinstance(entry.get("logprob"), (int, float)):
            yield entry["token"], float(entry["logprob"])


def _begins(text: str, answers: Answers) -> Choice | None:
    """Which choice a token begins: its first letters tell them apart."""
    text = text.lower()
    if answers == "number":
        return NUMBERS.get(text.strip(" \n.\"'"))
    words = YES_NO if answers == "yes_no" else WORDS
    return next((words[w] for w in words if text and (w.startswith(text) or text.startswith(w))), None)
