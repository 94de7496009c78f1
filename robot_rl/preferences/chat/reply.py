"""What every chat completion holds, whatever was asked: its words and the tokens it took."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robot_rl.preferences.chat.budget import Usage

_MOST = 10**9  # tokens; a larger count is nonsense, and SQLite holds no number past 2**63
_THOUGHT = re.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


@dataclass(frozen=True)
class Unreadable:
    """A reply without a choice."""

    reason: str
    refused: bool = False  # asking again would be refused again


def read_text(reply: Mapping[str, Any]) -> str | Unreadable:
    """Return the words of a chat completion, without thoughts that a model shows before them."""
    first = first_choice(reply)
    message = first.get("message")
    message = message if isinstance(message, Mapping) else {}
    if message.get("refusal"):
        return Unreadable(f"refused: {short(message['refusal'])}", refused=True)
    if first.get("finish_reason") in ("content_filter", "safety", "refusal"):
        return Unreadable(f"refused: finish_reason {first['finish_reason']}", refused=True)
    content = message.get("content")
    if isinstance(content, list):  # some servers send parts, of which the thoughts are other types
        content = "".join(
            str(part["text"]) for part in content if isinstance(part, Mapping) and _is_text(part)
        )
    if not isinstance(content, str):
        cut = ", cut off at max_tokens" if first.get("finish_reason") == "length" else ""
        return Unreadable(f"malformed{cut}: a reply without text")
    return _THOUGHT.sub("", content).strip()


def read_usage(reply: Mapping[str, Any]) -> Usage | None:
    """Return the tokens that the server counted; None where it does not say."""
    usage = reply.get("usage")
    if not isinstance(usage, Mapping):
        return None
    read_, written, total = (_count(usage.get(f"{n}_tokens")) for n in ("prompt", "completion", "total"))
    if not (read_ or written or total):
        return None
    # Some servers count the thoughts of a model in the total alone; they are paid for as output.
    return Usage(read_, max(written, total - read_))


def first_choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first alternative of a chat completion; empty where there is none."""
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else {}


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type", "text") in ("text", "output_text") and isinstance(part.get("text"), str)


def _count(value: Any) -> int:
    """A number of tokens; what is none counts as 0."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return min(max(0, int(value)), _MOST) if is_number else 0


def tidy(text: Any) -> str:
    """A text that any store and terminal takes: no lone surrogates, no control characters."""
    text = str(text).encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip()


def short(text: Any, size: int = 160) -> str:
    """A text on one line of at most `size` characters."""
    line = " ".join(tidy(text).split())
    return line if len(line) <= size else f"{line[: size - 3]}..."
