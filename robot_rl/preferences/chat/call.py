"""One call to the endpoint: sent again where that may help, paced, counted against the budget."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from robot_rl.preferences.chat.budget import Budget, Usage
from robot_rl.preferences.chat.client import ChatClient, Reply, Trouble
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.pace import Pace, backoff
from robot_rl.preferences.chat.reply import Unreadable, read_usage

Read = TypeVar("Read")


@dataclass
class Bill:
    """What a question took so far."""

    begun: int = 0  # calls, without their further tries
    usage: Usage = dataclasses.field(default_factory=Usage)  # as far as the server told
    seconds: float = 0.0  # of requests, without the waits between them


class Caller:
    """Makes calls; room in the budget for each must be held before."""

    def __init__(self, config: ChatConfig, client: ChatClient, budget: Budget, pace: Pace) -> None:
        self._config, self._client, self._budget, self._pace = config, client, budget, pace

    async def call(
        self, content: dict[str, Any], read: Callable[[Mapping[str, Any]], Read | Unreadable], bill: Bill
    ) -> Read | Unreadable | Trouble:
        """Send a request until `read` can read the reply; else say what was wrong, after how many tries."""
        data = json.dumps(content).encode()
        bill.begun += 1
        lost = unread = 0  # tries without a reply, and with one that could not be read
        while True:
            result = await self._send(data, bill)
            found = read(result.content) if isinstance(result, Reply) else result
            if not isinstance(found, (Unreadable, Trouble)):
                return found
            if isinstance(found, Trouble) and found.kind != "not_chat":
                lost += 1
                more, wait = found.again and lost <= self._config.retries, self._wait(lost, found.wait)
            else:
                unread += 1
                refused = isinstance(found, Unreadable) and found.refused
                more, wait = not refused and unread <= self._config.malformed_retries, 0.0
            if not more:
                return _counted(found, lost + unread)
            if not self._budget.again():
                return _counted(found, lost + unread, "; the budget allows no further try")
            await asyncio.sleep(wait)

    def _wait(self, lost: int, asked: float | None) -> float:
        return backoff(lost - 1, self._config.backoff, self._config.max_wait, asked)

    async def _send(self, data: bytes, bill: Bill) -> Reply | Trouble:
        """Send once, when it is this request's turn, and count what it took."""
        guessed = self._budget.typical
        await self._pace.turn(guessed)
        usage: Usage | None = None  # cut off or timed out: it may have been paid for all the same
        try:
            result = await self._client.send(data)
            if isinstance(result, Reply):
                usage = read_usage(result.content)
            elif result.kind != "timeout":
                usage = Usage()
        finally:
            self._budget.settle(usage)
        told = usage or Usage()
        self._pace.correct(guessed, told.tokens if usage else guessed)
        bill.usage += told
        bill.seconds += result.seconds
        return result


def _counted(found: Unreadable | Trouble, tries: int, why: str = "") -> Any:
    """Say after how many tries."""
    times = f", {tries} tries" if tries > 1 else ""
    return dataclasses.replace(found, reason=f"{found.reason}{times}{why}")
