"""The chat labeler's questions as files for a provider's batch interface, and the answers back again.

Export writes JSONL of what the label store does not answer yet; import reads the provider's output and
error files, in any order, partly or repeatedly, into the label store.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.preferences.chat.answer import Said, read
from robot_rl.preferences.chat.budget import Usage
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.chat.preference import failed, preference
from robot_rl.preferences.chat.reply import read_usage, short
from robot_rl.preferences.chat.request import Features, body
from robot_rl.preferences.orders import OTHER, merge
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Outcome, Preference, Question

MAX_REQUESTS, MAX_BYTES = 50_000, 180_000_000  # of one file; providers allow 50,000 and 200 MB or more
DISCOUNT = 0.5  # what providers charge for a batch, as a share of the price
_FRAMES_AT_ONCE = 64
_OWN, _OTHER = "a", "b"  # the question's own order, and the other one


@dataclass(frozen=True)
class Imported:
    """What came of the answers in some files."""

    outcomes: dict[str, int]  # questions by outcome; those answered before are among them
    reasons: dict[str, int]  # why questions failed
    missing: int  # questions without an answer in the files or the store
    unknown: int  # lines about other questions, or about these under other settings
    damaged: int  # lines that are no answers at all, as the last one of a broken download
    tokens: int  # of the answers in the files, failed ones included
    cost: float  # USD, likewise


def export_batch(
    labeler: ChatLabeler,
    questions: Sequence[Question],
    frames: FrameSource,
    store: LabelStore,
    path: str | Path,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
) -> list[Path]:
    """Write the questions that `store` does not answer as batch requests; returns the files, none if none.

    `path` is the first file, the next ones are called NAME-2.jsonl and so on. Raises BadInput for a prompt of
    several calls, since a batch cannot quote a reply.
    """
    _check_prompt(labeler)
    keys = _keys(labeler, questions)
    known = store.get(keys)
    asked = {key: question for key, question in keys.items() if key not in known}
    path, made = Path(path), []
    lines = _lines(labeler, asked, frames)
    for part in _parts(lines, max_requests, max_bytes):
        target = path if not made else path.with_name(f"{path.stem}-{len(made) + 1}{path.suffix}")
        _write(target, part)
        made.append(target)
    return made


def import_batch(
    labeler: ChatLabeler,
    questions: Sequence[Question],
    paths: Sequence[str | Path],
    store: LabelStore,
    discount: float = DISCOUNT,
) -> Imported:
    """Read answers to these questions from a provider's files into the store; doing so twice changes nothing.

    `discount` is the share of the config's prices that a batch costs. Where both orders are asked, a question
    is answered once both replies are in the files given. Failed answers are reported and not stored, so that
    a second import does not count them twice; they are asked again by the next run. Raises BadInput for a
    file that cannot be read and where no line of any file is about these questions.
    """
    _check_prompt(labeler)
    keys = _keys(labeler, questions)
    known = store.get(keys)
    found, unknown, damaged = _collect(labeler, keys, paths, discount)
    answers = {key: answer for key in keys if (answer := _whole(labeler, found.get(key, {}))) is not None}
    if not answers and not found and unknown:
        raise BadInput(
            f"{paths[0]}: none of its {unknown} answers is about these pairs under these settings; import "
            "with the dataset, task, pairs, seed, prompt and model that the requests were exported with"
        )
    store.put({key: a for key, a in answers.items() if a.outcome is not Outcome.FAILED and key not in known})
    answers |= known
    replies = [reply for both in found.values() for reply in both.values()]
    return Imported(
        dict(Counter(answer.outcome.value for answer in answers.values())),
        dict(Counter(answer.error for answer in answers.values() if answer.error)),
        len(keys) - len(answers),
        unknown,
        damaged,
        sum(reply.tokens for reply in replies),
        sum(reply.cost for reply in replies),
    )


def _check_prompt(labeler: ChatLabeler) -> None:
    if len(labeler.setup.prompt.asks) > 1:
        raise BadInput(
            f"prompt: '{labeler.config.prompt}' makes several calls, of which each quotes the one before; a "
            "batch needs a prompt of one call, such as choice-1"
        )


def _keys(labeler: ChatLabeler, questions: Sequence[Question]) -> dict[str, Question]:
    return {question.key(labeler.name, labeler.identity): question for question in questions}


def _custom_id(key: str, which: str) -> str:
    """Name one request; providers take 64 characters, and 48 hex digits tell any questions apart."""
    return f"{key[:48]}-{which}"


def _lines(labeler: ChatLabeler, asked: Mapping[str, Question], frames: FrameSource) -> Iterator[bytes]:
    """The requests, one line each; frames are read some at a time."""
    config, prompt = labeler.config, labeler.setup.prompt
    features = Features.asked(config)  # nobody can be probed: the config's wishes are taken at their word
    detail = "" if config.detail == "auto" else config.detail
    items = list(asked.items())
    for start in range(0, len(items), _FRAMES_AT_ONCE):
        some = items[start : start + _FRAMES_AT_ONCE]
        wanted = np.unique([index for _, question in some for index in question.shown]).astype(np.int64)
        images = zip(wanted.tolist(), frames(wanted), strict=True)
        uris = {index: data_uri(image, config) for index, image in images}
        for key, question in some:
            shown = (uris[question.shown[0]], uris[question.shown[1]])
            turns = (
                [(_OWN, shown), (_OTHER, shown[::-1])] if config.both_orders == "always" else [(_OWN, shown)]
            )
            for which, pictures in turns:
                words = prompt.messages(0, question.task, question.opposite, pictures, detail=detail)
                request = {
                    "custom_id": _custom_id(key, which),
                    "method": "POST",
                    "url": "/v1/chat/completions",
                }
                request["body"] = body(config, features, words, prompt.answers)
                yield json.dumps(request).encode() + b"\n"


def _parts(lines: Iterator[bytes], max_requests: int, max_bytes: int) -> Iterator[Iterator[bytes]]:
    """Cut the lines into files that a provider takes, without holding one in memory."""
    following = next(lines, None)

    def part() -> Iterator[bytes]:
        nonlocal following
        count = size = 0
        while (
            following is not None
            and count < max_requests
            and (not count or size + len(following) <= max_bytes)
        ):
            count, size = count + 1, size + len(following)
            line, following = following, None
            yield line
            following = next(lines, None)

    while following is not None:
        yield part()


def _write(path: Path, lines: Iterator[bytes]) -> None:
    """Write a file that is whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"{path}: the batch cannot be written here: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _collect(
    labeler: ChatLabeler, keys: Mapping[str, Question], paths: Sequence[str | Path], discount: float
) -> tuple[dict[str, dict[str, Preference]], int, int]:
    """Read files into key -> which order -> answer; with it come the numbers of unknown and damaged lines."""
    names = {_custom_id(key, which): (key, which) for key in keys for which in (_OWN, _OTHER)}
    found: dict[str, dict[str, Preference]] = {}
    unknown = damaged = 0
    for line in (line for path in paths for line in _read_lines(Path(path))):
        name = line.get("custom_id") if line is not None else None
        if not isinstance(name, str):
            damaged += 1
        elif name not in names:
            unknown += 1
        else:
            key, which = names[name]
            both, answer = found.setdefault(key, {}), _answer(labeler, keys[key], which, line, discount)
            if which not in both or both[which].outcome is Outcome.FAILED:  # an error file may come first
                both[which] = answer
    return found, unknown, damaged


def _read_lines(path: Path) -> Iterator[Mapping[str, Any] | None]:
    """The lines of a file as objects, None for each that is none."""
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    value = None
                yield value if isinstance(value, Mapping) else None
    except OSError as error:
        raise BadInput(f"{path}: the answers cannot be read: {error.strerror or error}") from error


def _answer(
    labeler: ChatLabeler, question: Question, which: str, line: Mapping[str, Any], discount: float
) -> Preference:
    """Make a Preference of one line, by the same reading as of a reply to a request."""
    setup = labeler.setup
    model, version = setup.config.model, setup.prompt.version
    response = line.get("response")
    response = response if isinstance(response, Mapping) else {}
    reply = response.get("body", response)
    status = response.get("status_code", 200)
    if not isinstance(reply, Mapping) or not reply.get("choices") or status != 200:
        error = line.get("error") or (reply.get("error") if isinstance(reply, Mapping) else reply)
        why = error.get("message", error) if isinstance(error, Mapping) else error
        return failed(f"batch: status {short(status)}: {short(why)}", model, version, question.order)
    said = read(reply, setup.prompt.answers)
    usage = read_usage(reply) or Usage()
    if isinstance(said, Said):
        shown = question.order if which == _OWN else OTHER[question.order]
        made = preference(said, model, version, shown, question.order)
    else:
        made = failed(said.reason, model, version, question.order)
    return replace(made, tokens=usage.tokens, cost=setup.budget.cost(usage) * discount)


def _whole(labeler: ChatLabeler, both: Mapping[str, Preference]) -> Preference | None:
    """The answer to a question from its replies in one or both orders; None while one is missing."""
    first = both.get(_OWN)
    if labeler.config.both_orders == "never" or first is None:
        return first
    if _OTHER not in both:
        return None
    other = both[_OTHER]
    made = merge(first, other)
    return replace(made, tokens=first.tokens + other.tokens, cost=first.cost + other.cost)
