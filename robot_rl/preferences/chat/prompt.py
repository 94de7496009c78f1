"""Prompts: text files of versioned wording, from robot_rl/preferences/prompts or from a user's path."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from robot_rl.errors import BadInput, nearest

# A JSON object with a choice between two pictures, or with yes or no of one picture; or 0, 1 or -1.
Answers = Literal["choice", "number", "yes_no"]
Choice = Literal["first", "second", "tie", "cannot_tell"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
# One picture is a pair of itself, of which "yes" names the second: p is then the probability of yes.
YES_NO: dict[str, Choice] = {"yes": "second", "no": "first", "cannot_tell": "cannot_tell"}
WORDS: dict[str, Choice] = {choice: choice for choice in CHOICES}
NUMBERS: dict[str, Choice] = {"0": "first", "1": "second", "-1": "cannot_tell"}
Message = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[1] / "prompts"
_IMAGES = ("first_image", "second_image")
_PLACES = ("task", "opposite", "shown", *_IMAGES, "image", "answer")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_SECTION = re.compile(r"^== *(.*?) *==$")


@dataclass(frozen=True)
class Prompt:
    """The words of one or more calls, the last of which gives the choice."""

    name: str
    version: str  # name and a hash of the text, so that an edited prompt is another version
    answers: Answers
    system: str
    asks: tuple[str, ...]

    @property
    def pictures(self) -> int:
        """Pictures that one question sends."""
        return len(_pictures(self.answers))

    def showing(self, shown: str) -> Prompt:
        """This prompt with {shown} filled in: what the pictures are. Without words its line is left out."""
        if not shown:
            return self
        return dataclasses.replace(self, asks=tuple(ask.replace("{shown}", shown) for ask in self.asks))

    def messages(
        self, ask: int, task: str, opposite: str, images: tuple[str, str], answer: str = "", detail: str = ""
    ) -> list[Message]:
        """The chat messages of call number `ask`; `images` are data URIs in the order shown."""
        lines = self.asks[ask].split("\n")
        empty = ["{shown}"] if opposite.strip() else ["{shown}", "{opposite}"]
        kept = [line for line in lines if not any(place in line for place in empty)]
        texts = {"task": task, "opposite": opposite, "answer": answer}
        shown = dict(zip(_IMAGES, images, strict=True)) | {"image": images[1]}
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": _content("\n".join(kept), texts, shown, detail)}]


def load_prompt(prompt: str | Path) -> Prompt:
    """Load a prompt by name or path; raises BadInput that names the file and the rule it breaks."""
    name = str(prompt)
    shipped = {path.stem: path for path in FOLDER.glob("*.txt")}
    path = shipped.get(name, Path(name))
    if not path.is_file():
        raise BadInput(f"prompt: no '{name}'.{nearest(name, shipped)} Or give the path of a .txt file.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: the prompt cannot be read as UTF-8 text: {error}") from error
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return _parse(text, path.stem, f"{path.stem}+{digest}", str(path))


def _parse(text: str, name: str, version: str, where: str) -> Prompt:
    """Split a prompt's text into its sections."""
    header, sections = _sections(text, where)
    settings = _settings(header, where)
    asks = tuple(body for title, body in sections if title == "ask")
    system = "\n\n".join(body for title, body in sections if title == "system")
    _check(system, asks, settings, where)
    return Prompt(name, version, settings, system, asks)


def _sections(text: str, where: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the lines before the first section, and (title, body) of each section."""
    header: list[str] = []
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        title = _SECTION.match(line)
        if title:
            if title[1] not in ("system", "ask"):
                raise BadInput(
                    f"{where}: unknown section '{title[1]}'.{nearest(title[1], ('system', 'ask'))}"
                )
            found.append((title[1], []))
        else:
            (found[-1][1] if found else header).append(line)
    return header, [(title, "\n".join(lines).strip()) for title, lines in found]


def _settings(header: list[str], where: str) -> Answers:
    """Read what stands before the first section: notes, and the form of the answer."""
    answers = "choice"
    for line in header:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip() or line.startswith("#"):
            continue
        if not colon or name != "answer" or value not in get_args(Answers):
            raise BadInput(
                f"{where}: {line.strip()!r} is not understood; before the first '== ask ==' stand notes (#) "
                f"and 'answer: ' with one of {', '.join(get_args(Answers))}"
            )
        answers = value
    return answers


def _pictures(answers: Answers) -> tuple[str, ...]:
    """The places of the pictures that a prompt shows."""
    return ("image",) if answers == "yes_no" else _IMAGES


def _check(system: str, asks: tuple[str, ...], answers: Answers, where: str) -> None:
    """Refuse a prompt without a call, with unknown places or without its pictures in its first call."""
    if not asks or not all(asks):
        raise BadInput(f"{where}: needs at least one section '== ask ==' with text in it")
    for text in (system, *asks):
        for place in _PLACE.findall(text):
            if place not in _PLACES:
                raise BadInput(f"{where}: unknown place '{{{place}}}'.{nearest(place, _PLACES)}")
    if _PLACE.search(system):
        raise BadInput(
            f"{where}: the section 'system' is sent as it stands; it can hold no {{task}} or the like"
        )
    for place in (*_IMAGES, "image"):
        times = int(place in _pictures(answers))
        if asks[0].count(f"{{{place}}}") != times:
            rule = "must hold {%s} once" if times else "cannot hold {%s}"
            raise BadInput(f"{where}: with answer: {answers} the first '== ask ==' {rule % place}")
    if "{task}" not in "".join(asks):
        raise BadInput(f"{where}: must say {{task}} somewhere, or the model does not know the goal")
    if "{answer}" in asks[0] or any("{answer}" not in text for text in asks[1:]):
        raise BadInput(f"{where}: every '== ask ==' after the first, and only those, must quote {{answer}}")


def _content(text: str, texts: dict[str, str], images: dict[str, str], detail: str) -> str | list[Message]:
    """Fill the places in one pass, so that what is filled in is never read as a place itself."""
    parts: list[Message] = []
    written = ""
    pieces = _PLACE.split(text)  # text, place, text, place, ..., text
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            written += piece
        elif piece in texts:
            written += texts[piece]
        else:
            parts += [_text(written), _image(images[piece], detail)]
            written = ""
    if not parts:
        return written.strip()
    return [part for part in [*parts, _text(written)] if part.get("text") != ""]


def _text(text: str) -> Message:
    return {"type": "text", "text": text.strip("\n")}


def _image(uri: str, detail: str) -> Message:
    return {"type": "image_url", "image_url": {"url": uri, **({"detail": detail} if detail else {})}}
