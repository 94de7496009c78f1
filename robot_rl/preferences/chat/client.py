"""Sends requests to an endpoint and says what came of each; nothing that a request holds leaves it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

from robot_rl.errors import need
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.key import ApiKey
from robot_rl.preferences.chat.pace import retry_after
from robot_rl.preferences.chat.reply import short

_LARGEST = 8 * 2**20  # bytes of a reply; more is no answer to such a question
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_FATAL = {401, 402, 404}  # every further question would meet these too
Kind = Literal["status", "redirect", "html", "not_chat", "timeout", "unreachable"]


@dataclass(frozen=True)
class Reply:
    """A chat completion, not yet read."""

    content: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Trouble:
    """Why a request brought no chat completion."""

    kind: Kind
    reason: str  # one line
    seconds: float = 0.0
    status: int = 0
    message: str = ""  # the server's own words
    again: bool = False  # another try may help
    fatal: bool = False  # every further question would meet it
    wait: float | None = None  # s, as the server asks


class ChatClient:
    """One pool of connections to one endpoint, for one event loop."""

    def __init__(self, config: ChatConfig, key: ApiKey) -> None:
        self._config, self._key = config, key
        httpx = need("httpx2", "chat")
        limits = httpx.Limits(
            max_connections=config.concurrency, max_keepalive_connections=config.concurrency
        )
        self._http = httpx.AsyncClient(
            auth=_bearer(key) if key else None,
            verify=_certificates(not config.loopback),
            timeout=None,  # `send` bounds the whole request; a server that trickles would pass any other
            limits=limits,
            follow_redirects=False,
            # A proxy of the environment would see plain http to this machine, key included.
            trust_env=not config.loopback,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, body: bytes) -> Reply | Trouble:
        """Send one request, once, and wait for its reply for `timeout` seconds."""
        return await self._exchange("POST", self._config.endpoint, body)

    async def models(self) -> list[str]:
        """The names of the models that the endpoint offers; empty where it does not say."""
        reply = await self._exchange("GET", f"{self._config.url}/models")
        entries = reply.content.get("data") if isinstance(reply, Reply) else None
        entries = entries if isinstance(entries, list) else []
        return [str(entry["id"]) for entry in entries if isinstance(entry, Mapping) and "id" in entry]

    async def _exchange(self, method: str, url: str, body: bytes | None = None) -> Reply | Trouble:
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._config.timeout):
                status, headers, data = await self._request(method, url, body)
        except TimeoutError:
            reason = f"timed out after {self._config.timeout:g} s"
            return Trouble("timeout", reason, time.monotonic() - start, again=True)
        except Exception as error:
            # Whatever it is, it ends here: the frames of its traceback hold the request's headers.
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            reason = short(self._key.hide(reason), 240)
            return Trouble("unreachable", reason, time.monotonic() - start, again=True)
        return self._judge(status, headers, data, time.monotonic() - start)

    async def _request(
        self, method: str, url: str, body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        data = bytearray()
        async with self._http.stream(method, url, content=body, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > _LARGEST:
                    raise ValueError(f"the reply is larger than {_LARGEST // 2**20} MB")
            return response.status_code, response.headers, bytes(data)

    def _judge(self, status: int, headers: Mapping[str, str], data: bytes, seconds: float) -> Reply | Trouble:
        """Tell a reply from everything else that a server may send."""
        text = self._key.hide(data.decode("utf-8", "replace"))  # some servers repeat it in their errors
        content = _parse(text)
        if 300 <= status < 400:
            # Only the host: the rest of an address may hold what nobody should read.
            where = short(self._key.hide(_host(headers.get("location", ""))))
            reason = f"HTTP {status}, a redirect to {where}"
            return Trouble("redirect", reason, seconds, status, fatal=True)
        if "text/html" in headers.get("content-type", "") or (content is None and text.lstrip()[:1] == "<"):
            reason = f"HTTP {status} with a web page in place of an answer"
            return Trouble("html", reason, seconds, status, again=status in _AGAIN)
        if status >= 400:
            return self._refusal(status, headers, content, text, seconds)
        if content is None:
            return Trouble("not_chat", "malformed: the reply is no JSON", seconds, status, again=True)
        if content.get("error") and not content.get("choices"):
            message = _message(content, text)
            return Trouble(
                "status", f"an error in the reply: {short(message)}", seconds, status, message, True
            )
        return Reply(content, seconds)

    def _refusal(
        self,
        status: int,
        headers: Mapping[str, str],
        content: Mapping[str, Any] | None,
        text: str,
        seconds: float,
    ) -> Trouble:
        """Read a reply of status 4xx or 5xx."""
        message = short(_message(content, text), 400)
        # Some servers repeat a wrong key, wholly or in part; with these two nothing else is worth saying.
        said = f": {short(message)}" if message and status not in (401, 403) else ""
        exhausted = status == 429 and "insufficient_quota" in text
        wait = retry_after(headers)
        too_long = wait is not None and wait > self._config.max_wait and status in _AGAIN
        reason = f"HTTP {status}{said}"
        if too_long:
            reason += f" (it asks to wait {wait:,.0f} s)"
        fatal = status in _FATAL or exhausted or too_long
        return Trouble(
            "status", reason, seconds, status, message, status in _AGAIN and not fatal, fatal, wait
        )


@cache
def _certificates(trust_env: bool) -> ssl.SSLContext:
    """The certificates to trust, read once: that takes as long as a batch may."""
    return need("httpx2", "chat").create_ssl_context(trust_env=trust_env)


def _bearer(key: ApiKey):
    """Sign requests as httpx2 wants it; the key is in the header alone, whose repr is masked."""
    httpx = need("httpx2", "chat")

    class Bearer(httpx.Auth):
        def auth_flow(self, request):
            request.headers["Authorization"] = key.header()
            yield request

    return Bearer()


def _host(location: str) -> str:
    """The host of a redirect's address, without a user or password."""
    try:
        return urlsplit(location).netloc.rpartition("@")[2] or "another path of the same host"
    except ValueError:
        return "an address that is none"


def _parse(text: str) -> Mapping[str, Any] | None:
    """A JSON object, or None."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, Mapping) else None


def _message(content: Mapping[str, Any] | None, text: str) -> str:
    """The server's own words, from the several places where servers put them."""
    if content is None:
        return text[:400]
    error = content.get("error", content)
    if isinstance(error, Mapping):
        error = next((error[n] for n in ("message", "detail", "error") if error.get(n)), error)
    return str(error)
