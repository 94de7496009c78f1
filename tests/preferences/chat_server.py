"""A loopback chat endpoint for tests, well-behaved or not: the brighter of two pictures is nearer the goal.

In a test: `with chat_server(Behaviour(...)) as server`. As a process of its own: `python -m
tests.preferences.chat_server '{"latency": 0.2}'` prints its port; GET /stats tells what it was asked.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import re
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

DARK, ALIKE, SCALE = 3.0, 3.0, 64.0  # levels of brightness, 0 to 255
KEY = "sk-test-0123456789abcdef"


@dataclass(frozen=True)
class Behaviour:
    """What the server does; `faults` are shares of the pairs, each pair meeting the same one always."""

    latency: float = 0.0  # s
    page: str = ""  # answer everything so: html, redirect, no_vision, not_chat, busy, broken, trickle
    redirect_to: str = "http://127.0.0.2:9/v1"
    key: str = ""  # demanded where given
    models: tuple[str, ...] = ("toy", "toy-mini")
    schema: bool = True  # keeps to a JSON schema; otherwise ignores it and answers in a code fence
    logprobs: bool = False
    rejects: tuple[str, ...] = ()  # fields that are answered with HTTP 400
    usage: bool = True
    evidence: str = ""  # said in place of what was seen
    bias: float = 0.0  # added to the brightness of the picture shown first
    faults: dict[str, float] = field(
        default_factory=dict
    )  # busy, broken, timeout, malformed, refusal, *_once
    once: tuple[str, ...] = ("busy", "broken")  # faults that a second try does not meet
    retry_after: str = "0.05"
    hang: float = 30.0  # s that a time-out lasts
    only_answers: int = 10**9  # requests, after which every one is answered with `then`
    then: int = 503


def fault_of(first: str, second: str, faults: dict[str, float]) -> str:
    """Which fault a pair of data URIs meets, in whichever order; "" for none."""
    place = zlib.crc32("|".join(sorted((first, second))).encode()) / 2**32
    for name, share in faults.items():
        if place < share:
            return name
        place -= share
    return ""


def verdict(levels: Sequence[float], bias: float = 0.0) -> tuple[str, float]:
    """(choice, P(second)) by the brightness of two pictures as shown."""
    first, second = levels
    if abs(first - second) < ALIKE:
        return "tie", 0.5
    if min(levels) < DARK:
        return "cannot_tell", 0.5
    p = 1 / (1 + math.exp((first + bias - second) / SCALE))
    return ("second" if p > 0.5 else "first"), p


class ChatServer:
    """Remembers what it was asked: `requests` (bodies), `headers`, and how many were in flight at most."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.most_in_flight = 0
        self.calls = 0
        self.port = 0
        self._in_flight = 0
        self._met: Counter[str] = Counter()
        self.keeps_bodies = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def questions(self) -> list[dict]:
        """The bodies of all requests but the probe's."""
        return [body for body in self.requests if "white all over" not in json.dumps(body["messages"])]

    async def serve(self, ready) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled when the test ends: asyncio would print a connection's task that was.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode("latin1").split("\r\n")
                headers = dict(text.lower().split(": ", 1) for text in rest if ": " in text)
                raw = dict(text.split(": ", 1) for text in rest if ": " in text)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self._in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self._in_flight)
                try:
                    done = await self._answer(*line.split(" ")[:2], raw, body, writer)
                finally:
                    self._in_flight -= 1
                if not done:
                    break
        writer.close()

    async def _answer(self, method: str, path: str, headers: dict, body: bytes, writer) -> bool:
        """Answer one request; False breaks the connection off."""
        if method == "GET":
            data = [{"id": name} for name in self.behaviour.models]
            stats = {"calls": self.calls, "most_in_flight": self.most_in_flight}
            return await _write(writer, 200, {"data": data} if path.endswith("/models") else stats)
        content = json.loads(body)
        self.calls += 1
        self.headers.append(headers)
        self.times.append(time.monotonic())
        if self.keeps_bodies:
            self.requests.append(content)
        number, b = self.calls, self.behaviour
        await asyncio.sleep(b.latency)
        if number > b.only_answers:
            return await _write(writer, b.then, _error("no more"))
        return await self._reply(path, headers, content, writer)

    async def _reply(self, path: str, headers: dict, content: dict, writer) -> bool:
        b = self.behaviour
        if b.page:
            return await self._page(writer)
        if not path.endswith("/v1/chat/completions"):
            return await _write(writer, 404, {"detail": "Not Found"})
        authorization = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
        if b.key and authorization != f"Bearer {b.key}":
            return await _write(writer, 401, _error(f"Incorrect API key provided: {authorization}"))
        if content["model"] not in b.models:
            return await _write(writer, 404, _error(f"The model `{content['model']}` does not exist"))
        for name in b.rejects:
            if name in content:
                hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return await _write(writer, 400, _error(f"Unsupported parameter: '{name}'.{hint}"))
        return await self._judge(content, writer)

    async def _page(self, writer) -> bool:
        b = self.behaviour
        if b.page == "html":
            return await _write(writer, 200, "<!doctype html><h1>Welcome</h1>", {"Content-Type": "text/html"})
        if b.page == "redirect":
            return await _write(writer, 307, "", {"Location": f"{b.redirect_to}/chat/completions"})
        if b.page == "no_vision":
            return await _write(writer, 400, _error("This model does not support image input"))
        if b.page == "not_chat":
            return await _write(writer, 200, {"hello": "world"})
        if b.page == "busy":
            return await _write(writer, 429, _error("slow down"), {"Retry-After": b.retry_after})
        if b.page == "trickle":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
            for _ in range(9999):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        return False

    async def _judge(self, content: dict, writer) -> bool:
        """Look at the pictures, and misbehave where this pair is to."""
        b = self.behaviour
        uris, text = _parts(content["messages"])
        schema = content.get("response_format", {}).get("json_schema", {}).get("schema", {})
        is_probe = "white all over" in text
        if uris and not is_probe:
            fault, pair = fault_of(uris[0], uris[-1], b.faults), "|".join(sorted(uris))
            self._met[pair] += 1
            once = fault in b.once or fault.endswith("_once")
            if fault and not (once and self._met[pair] > 1):
                return await self._misbehave(fault.removesuffix("_once"), writer)
        if not uris:
            return await _write(writer, 200, self._completion(_number(text), content))
        levels = [_brightness(uri) for uri in uris]
        choice, p = (
            ("second" if levels[1] > levels[0] else "first", 0.5)
            if is_probe
            else verdict(levels * (3 - len(levels)), b.bias)
        )
        if len(levels) == 1:  # asked about one picture alone: is the goal reached, that is, is it bright
            choice, p = ("yes", "no")[levels[0] < 128], levels[0] / 255
        if "picture 1 shows" in text:  # the first stage of the two
            said = (
                f"Picture 1 has brightness {levels[0]:.1f}, picture 2 has {levels[1]:.1f}. Closer: {choice}"
            )
            return await _write(writer, 200, self._completion(said, content))
        seen = b.evidence or " against ".join(f"{level:.1f}" for level in levels)
        answer = {"evidence": seen, "choice": choice}
        if b.schema and "check" in schema.get("properties", {}):
            answer["check"] = schema["properties"]["check"]["enum"][0]
        told = json.dumps(answer)
        if not b.schema or not schema:
            told = f"Here you are:\n```json\n{told}\n```"
        return await _write(writer, 200, self._completion(told, content, p))

    async def _misbehave(self, fault: str, writer) -> bool:
        if fault == "busy":
            return await _write(writer, 429, _error("slow down"), {"Retry-After": self.behaviour.retry_after})
        if fault == "broken":
            return await _write(writer, 500, _error("out of luck"))
        if fault == "timeout":
            await asyncio.sleep(self.behaviour.hang)
            return False
        if fault == "malformed":
            return await _write(writer, 200, self._completion('{"evidence": "it is", "choi', {}))
        reply = self._completion("", {})
        reply["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "I can't do that."}
        return await _write(writer, 200, reply)

    def _completion(self, text: str, content: dict, p: float = 0.5) -> dict:
        choice: dict = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": text}
        if self.behaviour.logprobs and content.get("logprobs"):
            choice["logprobs"] = {"content": [_token(t, p) for t in re.findall(r"\w+|\W", text)]}
        reply = {"object": "chat.completion", "choices": [choice]}
        if self.behaviour.usage:
            reply["usage"] = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
        return reply


def _parts(messages: list[dict]) -> tuple[list[str], str]:
    """The data URIs and the words of a request."""
    uris, text = [], ""
    for message in messages:
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            if part["type"] == "image_url":
                uris.append(part["image_url"]["url"])
            else:
                text += part["text"]
    return uris, text


def _number(text: str) -> str:
    """The second stage of the two: a number from the first stage's words."""
    said = re.search(r"Closer: (\w+)", text)
    return {"first": "0", "second": "1"}.get(said[1] if said else "", "-1")


def _brightness(uri: str) -> float:
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return float(cv2.imdecode(data, cv2.IMREAD_COLOR).mean())


def _token(text: str, p: float) -> dict:
    """A token with the likeliest alternatives; a tenth of the mass is on `tie`."""
    top = [{"token": text, "logprob": 0.0}]
    if text in ("first", "second"):
        shares = {"first": 0.9 * (1 - p), "second": 0.9 * p, "tie": 0.1}
        top = [{"token": t, "logprob": math.log(share)} for t, share in shares.items()]
    if text in ("yes", "no"):
        shares = {"no": 0.9 * (1 - p) + 1e-9, "yes": 0.9 * p + 1e-9, "cannot": 0.1}
        top = [{"token": t, "logprob": math.log(share)} for t, share in shares.items()]
    return {"token": text, "logprob": top[0]["logprob"], "top_logprobs": top}


def _error(message: str) -> dict:
    return {"error": {"message": message, "type": "test"}}


async def _write(writer, status: int, content: dict | str, headers: dict[str, str] | None = None) -> bool:
    data = (content if isinstance(content, str) else json.dumps(content)).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"HTTP/1.1 {status} Test\r\n{head}\r\n".encode() + data)
    await writer.drain()
    return True


@contextlib.contextmanager
def chat_server(behaviour: Behaviour | None = None, **changes: object) -> Iterator[ChatServer]:
    """Serve in a thread until the block ends."""
    server, ready = ChatServer(behaviour or Behaviour(**changes)), threading.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(server.serve(ready.set))
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        left = asyncio.all_tasks(loop)
        for other in left:
            other.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)


def main() -> None:
    """Serve as a process of its own until it is ended or its standard input closes."""
    settings = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    server = ChatServer(Behaviour(**settings))
    server.keeps_bodies = False
    asyncio.run(server.serve(lambda: print(server.port, flush=True)))


if __name__ == "__main__":
    main()
