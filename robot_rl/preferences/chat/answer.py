"""Reads what a chat model chose and why, or why that cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robot_rl.preferences.chat.probability import choice_probability
from robot_rl.preferences.chat.prompt import NUMBERS, WORDS, YES_NO, Answers, Choice
from robot_rl.preferences.chat.reply import Unreadable, first_choice, read_text, short, tidy


def _schema(words: Mapping[str, Choice]) -> dict[str, Any]:
    """The JSON schema of an answer with one of these words."""
    return {
        "type": "object",
        "properties": {
            "evidence": {"type": "string"},
            "choice": {"type": "string", "enum": list(words)},
        },
        "required": ["evidence", "choice"],
        "additionalProperties": False,
    }


SCHEMA, YES_NO_SCHEMA = _schema(WORDS), _schema(YES_NO)
_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.+-])(-1|0|1)(?![\w]|[.,]\d)")
_APOLOGY = re.compile(
    r"\b(sorry|i (?:can(?:'|\u2019)?t|cannot|am unable to|won(?:'|\u2019)t)"
    r" (?:assist|help|comply|analy[sz]e|process|provide|do that))",
    re.IGNORECASE,
)
_LONGEST = 2000  # characters of evidence that are kept
_SEARCHED = 20_000  # characters at the end of a reply in which JSON is looked for


@dataclass(frozen=True)
class Said:
    """A choice, in the order in which the pictures were shown."""

    choice: Choice
    evidence: str
    p_second: float | None = None  # probability of "second" against "first", where the server tells it


def read(reply: Mapping[str, Any], answers: Answers) -> Said | Unreadable:
    """Read the choice from a chat completion; an own word for each thing that can be wrong with it."""
    text = read_text(reply)
    if isinstance(text, Unreadable):
        return text
    words = YES_NO if answers == "yes_no" else WORDS
    found = _read_number(text) if answers == "number" else _read_choice(text, words)
    if found is None:
        if _APOLOGY.search(text[:200]):
            return Unreadable(f"refused: {short(text)}", refused=True)
        cut = ", cut off at max_tokens" if first_choice(reply).get("finish_reason") == "length" else ""
        return Unreadable(f"malformed{cut}: {short(text) or 'an empty reply'}")
    choice, evidence = found
    p = choice_probability(reply, answers) if choice in ("first", "second") else None
    return Said(choice, tidy(evidence)[:_LONGEST], p)


def _read_choice(text: str, words: Mapping[str, Choice]) -> tuple[Choice, str] | None:
    """Find {"evidence", "choice"} as the whole text, in a code fence or within the text."""
    found = [as_object(text)] if as_object(text) else [*_objects(text)]
    choices = {_choice(entry["choice"], words) for entry in found if "choice" in entry}
    if not found:
        word = _choice(text, words)
        return (word, "") if word else None
    if len(choices) != 1 or None in choices:
        return None
    entry = next(entry for entry in found if "choice" in entry)
    evidence = entry.get("evidence", "")
    return choices.pop(), evidence if isinstance(evidence, str) else json.dumps(evidence)


def as_object(text: str) -> dict[str, Any] | None:
    """Parse a text that is one JSON object and nothing else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, from its code fences where it has some."""
    text = ("\n".join(_FENCE.findall(text)) or text)[-_SEARCHED:]
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if isinstance(value, dict):
                yield value
        start = text.find("{", end)


def _choice(value: Any, words: Mapping[str, Choice]) -> Choice | None:
    """Take a choice however it is spaced and spelled in capitals."""
    if not isinstance(value, str):
        return None
    word = re.sub(r"[\s-]+", "_", value.strip(" \n\t.\"'*`").lower())
    return words.get(word)


def _read_number(text: str) -> tuple[Choice, str] | None:
    """Find 0, 1 or -1 on the last line; two different ones there are no answer."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = set(_NUMBER.findall(lines[-1])) if lines else set()
    return (NUMBERS[found.pop()], "") if len(found) == 1 else None
