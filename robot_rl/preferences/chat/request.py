"""The body of a request, with what a server understands of the optional parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from robot_rl.preferences.chat.answer import SCHEMA, YES_NO_SCHEMA
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.prompt import Answers, Message

_LIKELIEST = 5  # log probabilities at each token; all servers allow so many, and there are four choices


@dataclass(frozen=True)
class Features:
    """What a server does with the optional parts of a request; the probe finds out."""

    structured: bool
    logprobs: bool
    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    @classmethod
    def asked(cls, config: ChatConfig) -> Features:
        """What the config would like."""
        return cls(config.structured != "never", config.logprobs != "never")


def body(
    config: ChatConfig,
    features: Features,
    messages: list[Message],
    answers: Answers | None,
    schema: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a request; `answers` is None for a call whose reply is free text."""
    made: dict[str, Any] = {"model": config.model, "messages": messages}
    made[features.token_field] = config.max_tokens
    if config.temperature is not None:
        made["temperature"] = config.temperature
    if answers in ("choice", "yes_no") and features.structured:
        schema = schema or (YES_NO_SCHEMA if answers == "yes_no" else SCHEMA)
        made["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "preference", "strict": True, "schema": schema},
        }
    if answers is not None and features.logprobs:
        made |= {"logprobs": True, "top_logprobs": _LIKELIEST}
    return made
