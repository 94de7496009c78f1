"""What a run may spend and has spent; the limits hold however many requests are in flight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from robot_rl.errors import RobotRLError
from robot_rl.preferences.chat.config import ChatConfig

_FIRST_GUESS = 4000  # input tokens of a question with two pictures, until a reply says


class BudgetSpent(RobotRLError):
    """The budget allows no further question; what was answered has been handed over before."""


@dataclass(frozen=True)
class Usage:
    """Tokens that a server says it read and wrote."""

    input: int = 0
    output: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.output + other.output)


class Budget:
    """Counts calls and tokens against the limits of a config.

    Room for a question's calls is held at the most that they may take before the first is sent, so that
    the limits are never passed; a request whose usage is unknown (a time-out) counts as that much.
    """

    def __init__(self, config: ChatConfig) -> None:
        self._config = config
        self.calls = 0
        self.used = Usage()
        self._held = 0  # calls that may still be made
        self._largest_input = 0

    def cost(self, usage: Usage) -> float:
        """USD by the config's prices per million tokens."""
        config = self._config
        return (usage.input * config.price_input + usage.output * config.price_output) / 1e6

    @property
    def expected(self) -> Usage:
        """The most that one call may take, by what was seen so far."""
        return Usage(self._largest_input or _FIRST_GUESS, self._config.max_tokens)

    @property
    def typical(self) -> float:
        """Tokens of an average call, for the pace."""
        return self.used.tokens / self.calls if self.calls and self.used.tokens else self.expected.tokens

    def fits(self, calls: int) -> bool:
        """Whether that many more calls stay within every limit, were each to take the most."""
        config, more = self._config, self._held + calls
        most = Usage(self.expected.input * more, self.expected.output * more) + self.used
        return (
            (not config.budget_calls or self.calls + more <= config.budget_calls)
            and (not config.budget_tokens or most.tokens <= config.budget_tokens)
            and (not config.budget_usd or self.cost(most) <= config.budget_usd)
        )

    def begin(self) -> None:
        """Forget room that a run which was broken off still held."""
        self._held = 0

    async def admit(self, calls: int) -> None:
        """Hold room for a question's calls; waits while calls in flight may leave some.

        Raises BudgetSpent where there is none.
        """
        while not self.fits(calls):
            if not self._held:
                raise BudgetSpent(self.explain())
            await asyncio.sleep(0.01)  # only near the end of a budget: plainer than waking each other up
        self._held += calls

    def again(self) -> bool:
        """Hold room for one further try at once, or say that there is none."""
        if not self.fits(1):
            return False
        self._held += 1
        return True

    def settle(self, usage: Usage | None) -> None:
        """Count a call that was made; None: it may have been paid for, but nobody says how much."""
        self._held -= 1
        self.calls += 1
        if usage is not None and usage.tokens:
            self._largest_input = max(self._largest_input, usage.input)
        self.used += self.expected if usage is None else usage

    def release(self, calls: int) -> None:
        """Give room back that was held and not needed."""
        self._held -= calls

    def spent(self) -> str:
        """Say in words what was spent."""
        cost = f", {self.cost(self.used):.4g} USD" if self.cost(self.used) else ""
        return f"{self.calls:,} calls, {self.used.tokens:,} tokens{cost}"

    def explain(self) -> str:
        """Say what was spent, of what, and how to go on."""
        config = self._config
        limits = {
            "budget_calls": f"{config.budget_calls:,} calls" if config.budget_calls else "",
            "budget_tokens": f"{config.budget_tokens:,} tokens" if config.budget_tokens else "",
            "budget_usd": f"{config.budget_usd:g} USD" if config.budget_usd else "",
        }
        of = ", ".join(f"{name} {text}" for name, text in limits.items() if text)
        return (
            f"the budget ({of}) allows no further question: spent {self.spent()} (the next one may take "
            f"{self.expected.tokens:,} tokens a call); the answers so far are in the label store: run the "
            "same command again, with a larger budget if need be, to go on; none is paid for twice"
        )
