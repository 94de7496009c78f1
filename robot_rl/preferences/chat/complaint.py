"""What to tell the user when an endpoint does not do what it must: one line with the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from robot_rl.preferences.chat.client import Trouble
from robot_rl.preferences.chat.config import ChatConfig

_NO_IMAGES = re.compile(r"\b(images?|image_url|vision|multi-?modal|mmproj)\b|must be a string", re.IGNORECASE)
_MODEL = re.compile(r"model", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"not found|does ?n[o']t exist|not exist|no such|unknown|not a valid|invalid model", re.IGNORECASE
)


def about_images(message: str) -> bool:
    """Whether a server's words say that it takes no pictures."""
    return bool(_NO_IMAGES.search(message))


def about_model(trouble: Trouble) -> bool:
    """Whether a server says that it does not know the model."""
    unknown = _MODEL.search(trouble.message) and _UNKNOWN.search(trouble.message)
    return trouble.status in (400, 404, 422) and bool(unknown)


def complaint(config: ChatConfig, trouble: Trouble, models: Sequence[str] = ()) -> str:
    """One line: the address, what is wrong with it and what to do. `models` are the names it offers."""
    return f"{config.endpoint}: {_what(config, trouble, models)}"


def _what(config: ChatConfig, trouble: Trouble, models: Sequence[str]) -> str:
    remedies = {
        "timeout": f"{trouble.reason}; is the model still loading? Raise timeout, or try again later",
        "unreachable": f"cannot be reached ({trouble.reason}); is the server running, is the address right?",
        "redirect": f"answers with {trouble.reason}, which is not followed; give the final address as url",
        "html": f"answers {trouble.reason}; the url is not that of an API, which mostly ends in /v1",
        "not_chat": f"answers, but with no chat completion ({trouble.reason}); the url mostly ends in /v1",
    }
    return remedies.get(trouble.kind) or _status(config, trouble, models)


def _status(config: ChatConfig, trouble: Trouble, models: Sequence[str]) -> str:
    if trouble.status in (401, 403):
        which = f"the key in {config.api_key_env}" if config.api_key_env else "a request without a key"
        what = (
            "set that variable to a valid key" if config.api_key_env else "name its variable in api_key_env"
        )
        return f"HTTP {trouble.status}, it does not accept {which}; {what}"
    if about_images(trouble.message):
        return f"model '{config.model}' takes no pictures ({trouble.reason}); choose one with vision"
    if about_model(trouble):
        return f"has no model '{config.model}' ({trouble.reason}).{_offered(config.model, models)}"
    if trouble.status == 404:
        return f"{trouble.reason}; nothing there takes chats, the url mostly ends in /v1"
    if trouble.status in (402, 429):
        return f"{trouble.reason}; wait, or look at the limits and the credit of your account"
    if re.search("temperature", trouble.message, re.IGNORECASE):
        return f"{trouble.reason}; leave temperature out (None) for this model"
    return trouble.reason


def _offered(model: str, models: Sequence[str]) -> str:
    """Name the closest few of what may be hundreds."""
    if not models:
        return " Give the name under which the server offers it"
    close = difflib.get_close_matches(model, models, n=5, cutoff=0.3) or sorted(models)[:5]
    more = f" and {len(models) - len(close)} more" if len(models) > len(close) else ""
    return f" It offers {', '.join(close)}{more}"
