"""Asks an endpoint one test question, about two plain pictures of our own, to learn what it can do."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.preferences.chat.answer import SCHEMA, Said, as_object, read
from robot_rl.preferences.chat.asking import Setup
from robot_rl.preferences.chat.call import Bill, Caller
from robot_rl.preferences.chat.client import ChatClient, Trouble
from robot_rl.preferences.chat.complaint import about_images, about_model, complaint
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.chat.prompt import Message
from robot_rl.preferences.chat.reply import Unreadable, read_text, read_usage
from robot_rl.preferences.chat.request import Features, body

_SIDE = 64  # px of the test pictures
_QUESTION = (
    "One of these two pictures is white all over and the other one is black. Which one is white? Reply with "
    'one JSON object and nothing else: {"evidence": "<what you see>", '
    '"choice": "<first, second, tie or cannot_tell>"}'
)


@dataclass(frozen=True)
class Probed:
    """What an endpoint can do, and what the user should know of it."""

    features: Features
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Test:
    """A reply to the test question."""

    said: Said
    keeps_to_schema: bool
    has_logprobs: bool
    counts_tokens: bool


async def probe(setup: Setup, client: ChatClient) -> Probed:
    """Find out which optional parts of a request the endpoint understands.

    Raises BadInput, in one line with the remedy, for an endpoint that is none, refuses the key, does not
    know the model or takes no pictures; BudgetSpent where the budget has no room for it.
    """
    features = Features.asked(setup.config)
    word = secrets.token_hex(4)  # a server that ignores the schema cannot guess it
    for _ in range(6):  # each round gives up one optional part at least, and there are fewer
        found = await _ask(setup, client, features, word)
        if isinstance(found, _Test):
            return _conclude(setup, features, found)
        fewer = _fewer(features, found)
        if fewer is None:
            break
        features = fewer
    if isinstance(found, Unreadable):
        raise BadInput(
            f"{setup.config.endpoint}: model '{setup.config.model}' gave no usable answer to a test question "
            f"about two pictures ({found.reason}); choose another model, or raise max_tokens if it thinks"
        )
    models = await client.models() if about_model(found) else ()
    raise BadInput(complaint(setup.config, found, models))


async def _ask(
    setup: Setup, client: ChatClient, features: Features, word: str
) -> _Test | Unreadable | Trouble:
    """Ask the test question with fewer tries than a real one: a mistyped address should show at once."""
    config = dataclasses.replace(setup.config, retries=min(setup.config.retries, 2))
    await setup.budget.admit(1)
    properties = SCHEMA["properties"] | {"check": {"type": "string", "enum": [word]}}
    schema = SCHEMA | {"properties": properties, "required": [*SCHEMA["required"], "check"]}
    content = body(config, features, _messages(setup), "choice", schema)
    caller = Caller(config, client, setup.budget, setup.pace)
    return await caller.call(content, partial(_read, word=word), Bill())


def _messages(setup: Setup) -> list[Message]:
    """The test question; the first picture is black, the second white."""
    config = setup.config
    parts: list[Message] = [{"type": "text", "text": _QUESTION}]
    for level in (0, 255):
        uri = data_uri(np.full((_SIDE, _SIDE, 3), level, np.uint8), config)
        detail = {} if config.detail == "auto" else {"detail": config.detail}
        parts.append({"type": "image_url", "image_url": {"url": uri, **detail}})
    return [{"role": "user", "content": parts}]


def _read(reply: Mapping[str, Any], word: str) -> _Test | Unreadable:
    """Read the test question's answer, and whether it keeps to the schema."""
    said, text = read(reply, "choice"), read_text(reply)
    if isinstance(said, Unreadable):
        return said
    value = as_object(text) if isinstance(text, str) else None
    keeps = value is not None and value.get("check") == word
    return _Test(said, keeps, said.p_second is not None, read_usage(reply) is not None)


def _fewer(features: Features, found: Trouble | Unreadable) -> Features | None:
    """Give up the optional part that a server's refusal is about; None where nothing is left to give up."""
    if isinstance(found, Unreadable):  # some servers write nonsense when held to a schema
        helps = features.structured and not found.refused
        return dataclasses.replace(features, structured=False) if helps else None
    trouble, words = found, found.message.lower()
    if trouble.status in (401, 402, 403, 408, 429) or trouble.kind != "status":
        return None
    if "max_completion_tokens" in words and features.token_field == "max_tokens":
        return dataclasses.replace(features, token_field="max_completion_tokens")
    if features.logprobs and "logprobs" in words:
        return dataclasses.replace(features, logprobs=False)
    named = any(name in words for name in ("response_format", "json_schema", "schema", "grammar", "guided"))
    if features.structured and named:
        return dataclasses.replace(features, structured=False)
    if (
        about_images(trouble.message)
        or about_model(trouble)
        or "temperature" in words
        or trouble.status == 404
    ):
        return None
    # It does not say what it dislikes, so the parts go that servers dislike most often.
    if features.structured:
        return dataclasses.replace(features, structured=False)
    return dataclasses.replace(features, logprobs=False) if features.logprobs else None


def _conclude(setup: Setup, features: Features, test: _Test) -> Probed:
    """Keep what works, and note what the user may want to know."""
    config, notes = setup.config, []
    if test.said.choice != "second":
        notes.append(
            f"model '{config.model}' did not tell a white picture from a black one (it chose "
            f"'{test.said.choice}'); make sure that it sees pictures"
        )
    if not test.counts_tokens and (config.budget_tokens or config.budget_usd):
        notes.append(
            f"{config.host} does not say what a call takes, so the budget counts the most it may take"
        )
    structured = features.structured and test.keeps_to_schema
    logprobs = features.logprobs and test.has_logprobs
    return Probed(dataclasses.replace(features, structured=structured, logprobs=logprobs), tuple(notes))
