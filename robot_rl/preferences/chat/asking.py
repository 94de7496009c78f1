"""Asks all calls of one question and makes one Preference of the replies."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from functools import partial

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences.chat.answer import Said, read
from robot_rl.preferences.chat.budget import Budget, BudgetSpent
from robot_rl.preferences.chat.call import Bill, Caller
from robot_rl.preferences.chat.client import ChatClient, Trouble
from robot_rl.preferences.chat.complaint import complaint
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.key import ApiKey
from robot_rl.preferences.chat.pace import Pace
from robot_rl.preferences.chat.preference import failed, preference
from robot_rl.preferences.chat.prompt import Prompt
from robot_rl.preferences.chat.reply import Unreadable, read_text
from robot_rl.preferences.chat.request import Features, body
from robot_rl.preferences.orders import OTHER, merge
from robot_rl.preferences.types import Order, Outcome, Preference, Question

_LOST = 8  # questions in a row, or `concurrency` if that is more, until a server is given up


@dataclass(frozen=True)
class Setup:
    """What a labeler keeps from batch to batch."""

    config: ChatConfig
    prompt: Prompt
    key: ApiKey
    budget: Budget
    pace: Pace

    @property
    def calls(self) -> int:
        """Calls of one question, without further tries."""
        return len(self.prompt.asks) * (2 if self.config.both_orders == "always" else 1)


class Asking:
    """Asks questions in one event loop: at most `concurrency` at once, begun in the order given.

    `stop` says why no further question is asked, once there is a reason.
    """

    def __init__(self, setup: Setup, client: ChatClient, features: Features) -> None:
        self._setup, self._features = setup, features
        self._caller = Caller(setup.config, client, setup.budget, setup.pace)
        self.stop: Exception | None = None
        self._slots = asyncio.Semaphore(setup.config.concurrency)
        self._gate = asyncio.Lock()  # the budget's last room goes to the first who waits
        self._lost = 0  # questions in a row that the server did not answer

    async def question(self, question: Question, images: tuple[str, str]) -> Preference | None:
        """Ask one question; `images` are data URIs as shown. None: `stop` came first."""
        async with self._slots:
            if not await self._admitted():
                return None
            bill = Bill()
            try:
                answer = await self._orders(question, images, bill)
            finally:
                self._setup.budget.release(self._setup.calls - bill.begun)
        if answer is None:
            return None
        cost = self._setup.budget.cost(bill.usage)
        return dataclasses.replace(answer, tokens=bill.usage.tokens, cost=cost, latency=bill.seconds)

    async def _admitted(self) -> bool:
        """Hold room for a question's calls, or find that there is a reason to stop."""
        async with self._gate:
            if self.stop is None:
                try:
                    await self._setup.budget.admit(self._setup.calls)
                except BudgetSpent as error:
                    self.stop = error
        return self.stop is None

    async def _orders(self, question: Question, images: tuple[str, str], bill: Bill) -> Preference | None:
        """Ask in the question's order, then in the other one if both are wanted and can still matter."""
        first = await self._order(question, images, question.order, bill)
        decided = first is None or first.outcome in (Outcome.CANNOT_TELL, Outcome.FAILED)
        if self._setup.config.both_orders == "never" or decided:
            return first
        other = await self._order(question, images[::-1], OTHER[question.order], bill)
        return None if other is None else merge(first, other)

    async def _order(
        self, question: Question, images: tuple[str, str], order: Order, bill: Bill
    ) -> Preference | None:
        """Ask with the pictures as shown in one order; the Preference bears the question's own order."""
        said = await self._calls(question, images, bill)
        model, version = self._setup.config.model, self._setup.prompt.version
        if isinstance(said, Said):
            self._lost = 0
            hidden = dataclasses.replace(said, evidence=self._setup.key.hide(said.evidence))
            return preference(hidden, model, version, order, question.order)
        if isinstance(said, Unreadable):
            self._lost = 0
        elif not self._goes_on(said):
            return None
        reason = self._setup.key.hide(said.reason)
        return failed(reason, model, version, question.order)

    async def _calls(
        self, question: Question, images: tuple[str, str], bill: Bill
    ) -> Said | Unreadable | Trouble:
        """Make the prompt's calls one after the other; each may quote the reply to the one before."""
        setup, answer = self._setup, ""
        detail = "" if setup.config.detail == "auto" else setup.config.detail
        last = len(setup.prompt.asks) - 1
        for ask in range(last):
            words = setup.prompt.messages(ask, question.task, question.opposite, images, answer, detail)
            content = body(setup.config, self._features, words, None)
            answer = await self._caller.call(content, read_text, bill)
            if not isinstance(answer, str):
                return answer
        words = setup.prompt.messages(last, question.task, question.opposite, images, answer, detail)
        content = body(setup.config, self._features, words, setup.prompt.answers)
        said = await self._caller.call(content, partial(read, answers=setup.prompt.answers), bill)
        # What a number's evidence was stands in the reply before.
        return dataclasses.replace(said, evidence=said.evidence or answer) if isinstance(said, Said) else said

    def _goes_on(self, trouble: Trouble) -> bool:
        """Whether other questions may fare better; sets `stop` where not."""
        config = self._setup.config
        if trouble.fatal:
            self.stop = self.stop or BadInput(complaint(config, trouble))
            return False
        self._lost += trouble.kind != "not_chat" and (trouble.again or trouble.kind == "html")
        if self._lost < max(_LOST, config.concurrency):
            return True
        self.stop = self.stop or RobotRLError(
            f"{config.endpoint}: gave no answer to the last {self._lost} questions ({trouble.reason}); the "
            "answers so far are in the label store: when it answers again, the same command goes on"
        )
        return True
