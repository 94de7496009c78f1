"""When a request may go: limits a minute, and how long to wait before trying again."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Mapping


class Pace:
    """Spreads requests evenly, so that neither limit a minute is passed; a limit of 0 is none."""

    def __init__(self, requests_per_minute: float, tokens_per_minute: float) -> None:
        self._per_request = 60.0 / requests_per_minute if requests_per_minute else 0.0  # s
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0  # s
        self._next_by_requests = self._next_by_tokens = 0.0

    async def turn(self, tokens: float) -> None:
        """Wait until a request of about so many tokens may go."""
        now = time.monotonic()
        start = max(now, self._next_by_requests, self._next_by_tokens)
        self._next_by_requests = start + self._per_request
        self._next_by_tokens = start + self._per_token * tokens
        if start > now:
            await asyncio.sleep(start - now)

    def correct(self, guessed: float, used: float) -> None:
        """Make good a wrong guess of a request's tokens."""
        self._next_by_tokens += (used - guessed) * self._per_token


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a server asks to wait, from Retry-After (seconds or a date) or Retry-After-Ms.

    `now` is the time in s since 1970. None where it asks for nothing that can be read.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def backoff(attempt: int, first: float, longest: float, asked: float | None = None) -> float:
    """Seconds before try number `attempt` + 2: doubled each time and spread by chance.

    Where the server asked for a wait it is that, and up to a quarter more so that not all come back at once.
    """
    if asked is not None:
        return asked * random.uniform(1.0, 1.25)
    return min(longest, first * 2**attempt) * random.uniform(0.5, 1.0)
