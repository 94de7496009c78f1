"""Settings of the chat labeler; everything is checked when they are made. The API key is not among them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from robot_rl.errors import BadInput

BothOrders = Literal["never", "always"]
Offered = Literal["auto", "never"]
ImageFormat = Literal["jpeg", "png"]
Detail = Literal["auto", "low", "high"]
_COMPLETIONS = "/chat/completions"


@dataclass(frozen=True)
class ChatConfig:
    """How a chat model is asked; raises BadInput, naming the field, where a value breaks its rule."""

    url: str = ""
    """Address of the API, e.g. https://api.openai.com/v1 or http://localhost:11434/v1."""
    model: str = ""
    """The model's name at that endpoint."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty: no key is sent."""
    prompt: str = "choice-1"
    """A prompt that comes with robot-rl (choice-1, two-stage-1), or the path of a text file."""
    both_orders: BothOrders = "never"
    """always: ask with either picture first; where the two answers disagree it is a tie."""
    temperature: float | None = 0.0
    """Sampling temperature, in [0, 2]; None leaves it out, as some reasoning models demand."""
    structured: Offered = "auto"
    """auto: ask for a JSON schema where the server keeps to it; never: ask in words alone."""
    logprobs: Offered = "auto"
    """auto: take p from the choice's log probabilities where the server tells them; never: p is 0 or 1."""
    max_tokens: int = 1000
    """Most tokens of one reply; a model that thinks first needs several thousand."""
    image_size: int = 0
    """Longest side of the pictures sent, in px, made larger or smaller; 0: as they are."""
    image_format: ImageFormat = "jpeg"
    """jpeg, or png: lossless and several times as large."""
    jpeg_quality: int = 90
    """Quality of JPEG pictures, 1 to 100."""
    detail: Detail = "auto"
    """How finely an endpoint that knows `detail` is to look; auto leaves it out."""
    variant: str = ""
    """Tells apart two models of one name, such as two quantisations; part of the labeler's identity."""
    concurrency: int = 16
    """Requests in flight at once."""
    requests_per_minute: float = 0.0
    """The endpoint's limit; 0: none."""
    tokens_per_minute: float = 0.0
    """The endpoint's limit, input and output together; 0: none."""
    timeout: float = 60.0
    """Most seconds that one request may take."""
    retries: int = 5
    """Further tries after HTTP 429, 5xx, a lost connection or a time-out."""
    malformed_retries: int = 2
    """Further tries after a reply that cannot be read; each is paid for."""
    backoff: float = 1.0
    """Seconds before the first further try; doubled each time, with jitter, up to max_wait."""
    max_wait: float = 120.0
    """Longest wait in seconds before a further try; a server that asks for more ends the run."""
    price_input: float = 0.0
    """USD per million input tokens."""
    price_output: float = 0.0
    """USD per million output tokens."""
    budget_calls: int = 0
    """Most requests of this run, tries that failed included; 0: no limit."""
    budget_tokens: int = 0
    """Most tokens of this run, input and output; 0: no limit."""
    budget_usd: float = 0.0
    """Most USD of this run, by the prices above; 0: no limit."""

    def __post_init__(self) -> None:
        if not self.url and not self.model:
            return  # a command's default, for its other labelers; ChatLabeler refuses it
        object.__setattr__(self, "url", self.url.strip().rstrip("/").removesuffix(_COMPLETIONS))
        parts = _checked_url(self.url)
        if self.api_key_env and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise BadInput(
                f"url: {self.url} would carry the key of api_key_env unencrypted; use https, or leave the "
                "key out for a server that needs none"
            )
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise BadInput(f"{name}: must be {' or '.join(get_args(kind))}, not {getattr(self, name)!r}")
        if not self.model.strip():
            raise BadInput("model: is empty; give the model's name at the endpoint")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise BadInput(f"{name}: must be in [{low:g}, {high:g}], not {value}")
        if self.temperature is not None and not 0.0 <= self.temperature <= 2.0:
            raise BadInput(f"temperature: must be in [0, 2] or left out, not {self.temperature}")
        if self.budget_usd and not (self.price_input or self.price_output):
            raise BadInput("budget_usd: needs price_input and price_output, in USD per million tokens")

    @property
    def endpoint(self) -> str:
        """The full address that requests go to."""
        return self.url + _COMPLETIONS

    @property
    def host(self) -> str:
        """The host, with its port where the address names one."""
        parts = urlsplit(self.url)
        return parts.netloc

    @property
    def loopback(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    def answer_params(self) -> dict[str, Any]:
        """The settings that can change an answer, for the labeler's identity.

        The address is not among them: a model that moves to another server is the same model, and its
        answers are not paid for again. `variant` tells apart what only looks the same.
        """
        names = ("both_orders", "temperature", "structured", "logprobs", "max_tokens", "detail", "variant")
        image = {"size": self.image_size, "format": self.image_format}
        if self.image_format == "jpeg":
            image["quality"] = self.jpeg_quality
        return {name: getattr(self, name) for name in names} | {"image": image}


_CHOICES = {
    "both_orders": BothOrders,
    "structured": Offered,
    "logprobs": Offered,
    "image_format": ImageFormat,
    "detail": Detail,
}
_MANY = 1e12
_RANGES = {
    "max_tokens": (1, 1_000_000),
    "image_size": (0, 8192),
    "jpeg_quality": (1, 100),
    "concurrency": (1, 1024),
    "requests_per_minute": (0, _MANY),
    "tokens_per_minute": (0, _MANY),
    "timeout": (0.01, 86_400),
    "retries": (0, 100),
    "malformed_retries": (0, 100),
    "backoff": (0, 3600),
    "max_wait": (0, 86_400),
    "price_input": (0, 1e6),
    "price_output": (0, 1e6),
    "budget_calls": (0, _MANY),
    "budget_tokens": (0, _MANY),
    "budget_usd": (0, _MANY),
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _checked_url(url: str) -> SplitResult:
    """Split an address; raises BadInput, without repeating what may be a secret, where it is no plain one."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise BadInput("url: is no address; give one such as https://api.openai.com/v1") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BadInput(
            "url: must hold no user, password, '?' or '#'; a key belongs into an environment variable that "
            "api_key_env names"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise BadInput(f"url: must begin with https:// or http:// and name a host, not {url!r}")
    return parts
