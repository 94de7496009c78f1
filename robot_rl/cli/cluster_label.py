"""Asks a labeler's questions in several processes of a Ray cluster; `cli.cluster` connects to it.

The driver alone writes the label store. Each worker gets its share of the questions and of the limits.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from robot_rl.cli.cluster import RETRIES, fetched
from robot_rl.errors import BadInput, RobotRLError, need
from robot_rl.preferences.chat.budget import BudgetSpent
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.types import FrameSource, Labeler, Preference, Question, StreamingLabeler

_AT_ONCE = 16  # questions to a labeler whose answers come in batches
_FEW = 10  # questions that a worker's share of a budget should allow for
_TOKENS = 5000  # of a question, before any was asked


@dataclass(frozen=True)
class Spent:
    """What a worker has spent at most, what it has in flight included."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0


@dataclass(frozen=True)
class Share:
    """One worker's share, number `index` of `count`; `spent` is what workers before it spent of it."""

    index: int = 0
    count: int = 1
    spent: Spent = Spent()


class Maker(Protocol):
    """Makes the labeler of a share; travels to the workers, so it holds no key and no open file."""

    def __call__(self, share: Share) -> Labeler:
        """Make it; the name and the identity are the same for every share. Raises RobotRLError."""

    def spent(self, labeler: Labeler) -> Spent:
        """What this labeler has spent."""


@dataclass(frozen=True)
class ChatMaker:
    """Makes chat labelers whose limits add up to those of `config`; workers read the key's variable."""

    config: ChatConfig
    shown: str = ""  # what the pictures are, in words

    def workers(self, most: int) -> int:
        """How many of `most` workers a budget and the concurrency are enough for."""
        config = self.config
        rooms = [most, config.concurrency]
        rooms += [config.budget_calls // _FEW] if config.budget_calls else []
        rooms += (
            [config.budget_tokens // (_FEW * (_TOKENS + config.max_tokens))] if config.budget_tokens else []
        )
        return max(1, min(rooms))

    def __call__(self, share: Share) -> ChatLabeler:
        try:
            return ChatLabeler(divided(self.config, share), self.shown)
        except BadInput as error:
            if share.count == 1:
                raise
            raise BadInput(
                f"{error} (said by the Ray worker on {os.uname().nodename}: the key does not travel, every "
                "machine needs the variable in the environment that `ray start` was called in)"
            ) from None

    def spent(self, labeler: ChatLabeler) -> Spent:
        """What its budget says, with every slot on a question."""
        budget, flying = labeler.setup.budget, labeler.config.concurrency * labeler.setup.calls
        one = budget.expected
        usd = budget.cost(budget.used) + flying * budget.cost(one)
        return Spent(budget.calls + flying, budget.used.tokens + flying * one.tokens, usd)


def divided(config: ChatConfig, share: Share) -> ChatConfig:
    """One worker's share of the limits; raises BudgetSpent where nothing is left of it."""
    whole = {"concurrency": config.concurrency, "budget_calls": config.budget_calls,
             "budget_tokens": config.budget_tokens}  # fmt: skip
    parts: dict[str, Any] = {
        name: value // share.count + (share.index < value % share.count) for name, value in whole.items()
    }
    for name in ("requests_per_minute", "tokens_per_minute", "budget_usd"):
        parts[name] = getattr(config, name) / share.count
    spent = {
        "budget_calls": share.spent.calls,
        "budget_tokens": share.spent.tokens,
        "budget_usd": share.spent.usd,
    }
    for name, value in spent.items():
        if getattr(config, name):  # 0 is no limit, and must not come of a subtraction
            parts[name] -= value
            if parts[name] <= 0:
                raise BudgetSpent(
                    f"{name}: a Ray worker died, and nothing is left of its share of "
                    f"{getattr(config, name):g}; the answers so far are in the label store: the same "
                    "command goes on with a new budget"
                )
    return replace(config, **parts)


class RayLabeler:
    """A labeler whose questions are asked by `workers` processes of the connected Ray cluster.

    Name and identity are those of the labeler that `make` makes, and so are the keys of its answers.
    Answers come as they are given. A question is asked again only if it was in flight in a worker that
    died. `frames` is a source that workers open for themselves; otherwise they get that of the questions.
    """

    def __init__(self, make: Maker, workers: int, frames: FrameSource | None = None) -> None:
        self.inner = make(Share())
        self.name = self.inner.name
        self._make, self._workers, self._frames = make, workers, frames

    @property
    def identity(self) -> Mapping[str, Any]:
        """That of the labeler inside."""
        return self.inner.identity

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer in order; what was answered before an error, up to the first gap, is yielded before it."""
        held: dict[int, Preference] = {}
        try:
            held.update(self.answers(questions, frames))
        except (KeyboardInterrupt, Exception):
            yield from _prefix(held)
            raise
        yield from _prefix(held)

    def answers(self, questions: Sequence[Question], frames: FrameSource) -> Iterator[tuple[int, Preference]]:
        """Yield (index of the question, its answer) as they come; raises after what was answered."""
        run = _Run(self._make, questions, self._frames or frames)
        for number in range(count := min(self._workers, len(questions))):
            run.start(list(range(number, len(questions), count)), Share(number, count))
        try:
            while run.streams:
                yield from run.ready()
        except KeyboardInterrupt:
            yield from run.ready(wait=False)
            raise
        finally:
            run.stop()
        if run.error is not None:
            raise run.error


def _prefix(held: Mapping[int, Preference]) -> Iterator[Preference]:
    """The answers up to the first question without one."""
    number = 0
    while number in held:
        yield held[number]
        number += 1


@dataclass
class _Stream:
    """What one worker was given and has not answered yet."""

    todo: dict[int, None]  # indices of questions, in order
    share: Share
    deaths: int = 0
    spent: Spent = Spent()


class _Run:
    """The workers of one batch of questions; a dead one is followed by another with what was left to do."""

    def __init__(self, make: Maker, questions: Sequence[Question], frames: FrameSource) -> None:
        ray = need("ray", "ray")
        self._make, self._questions = make, questions
        self._frames = ray.put(frames)
        # Ray itself must not try again: it would ask, and pay for, everything from the start.
        self._task = ray.remote(num_cpus=1, num_returns="streaming", max_retries=0)(_ask)
        self.streams: dict[Any, _Stream] = {}
        self.error: BaseException | None = None

    def start(self, numbers: Sequence[int], share: Share, deaths: int = 0) -> None:
        """Give a worker some questions."""
        questions = [self._questions[number] for number in numbers]
        stream = self._task.remote(self._make, share, list(numbers), questions, self._frames)
        self.streams[stream] = _Stream(dict.fromkeys(numbers), share, deaths, share.spent)

    def ready(self, wait: bool = True) -> Iterator[tuple[int, Preference]]:
        """Yield one answer of every worker that has one; waits until there is something, if so told."""
        ray = need("ray", "ray")
        if wait:
            ray.wait(list(self.streams), num_returns=1)
        for stream in ray.wait(list(self.streams), num_returns=len(self.streams), timeout=0)[0]:
            state = self.streams[stream]
            try:
                number, answer, spent = fetched(next(stream))
            except StopIteration:
                del self.streams[stream]
            except (ray.exceptions.RayError, RobotRLError) as error:
                self._failed(stream, error)
            else:
                state.todo.pop(number)
                state.spent = spent
                yield number, answer

    def _failed(self, stream: Any, error: Exception) -> None:
        """Follow a dead worker with another; what a labeler itself raised is kept until all are done."""
        state = self.streams.pop(stream)
        if isinstance(error, RobotRLError):
            self.error = self.error or error
        elif state.deaths >= RETRIES:
            self.error = self.error or RobotRLError(
                f"a Ray worker died {RETRIES + 1} times while asking ({type(error).__name__}); the answers "
                "so far are in the label store: the same command goes on"
            )
        elif state.todo:
            self.start(list(state.todo), replace(state.share, spent=state.spent), state.deaths + 1)

    def stop(self) -> None:
        """End workers that are still asking, as when the run is broken off."""
        for stream in self.streams:
            need("ray", "ray").cancel(stream, force=True)


def _ask(
    make: Maker, share: Share, numbers: Sequence[int], questions: Sequence[Question], frames: FrameSource
) -> Iterator[tuple[int, Preference, Spent]]:
    """Ask on a worker; yields (number of the question, answer, what the share has spent so far)."""
    labeler = make(share)
    for index, answer in _streamed(labeler, questions, frames):
        now, before = make.spent(labeler), share.spent
        total = Spent(now.calls + before.calls, now.tokens + before.tokens, now.usd + before.usd)
        yield numbers[index], answer, total


def _streamed(
    labeler: Labeler, questions: Sequence[Question], frames: FrameSource
) -> Iterator[tuple[int, Preference]]:
    """Answers with their indices, of either kind of labeler."""
    if isinstance(labeler, StreamingLabeler):
        yield from labeler.answers(questions, frames)
        return
    for start in range(0, len(questions), _AT_ONCE):
        yield from enumerate(labeler.label(questions[start : start + _AT_ONCE], frames), start)
