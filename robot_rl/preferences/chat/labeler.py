"""The labeler `chat`: takes questions and frames, asks a vision-language model, and yields preferences."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import numpy as np

from robot_rl.errors import BadInput, need_installed
from robot_rl.preferences.chat.asking import Asking, Setup
from robot_rl.preferences.chat.budget import Budget
from robot_rl.preferences.chat.client import ChatClient
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.chat.key import ApiKey
from robot_rl.preferences.chat.pace import Pace
from robot_rl.preferences.chat.preference import NAME, failed
from robot_rl.preferences.chat.probe import Probed, probe
from robot_rl.preferences.chat.prompt import Prompt, load_prompt
from robot_rl.preferences.chat.session import Session
from robot_rl.preferences.types import FrameSource, Preference, Question

_GLANCE = 0.005  # s between looks at whether the next pictures are ready
_CHUNK = 32  # questions whose frames are read at once: ascending reads are fast, and memory stays small


class ChatLabeler:
    """Asks a chat model which of two pictures is nearer the goal; one per run, as its budget is the run's.

    Raises BadInput for a prompt or a key that cannot be used. The endpoint is first spoken to by `probe`,
    or by `label` with the first question, which raise BadInput where it cannot be used and BudgetSpent,
    after the last answer, where the budget is used up.
    """

    name = NAME

    def __init__(
        self, config: ChatConfig, shown: str = "", about: Literal["pairs", "goal"] = "pairs"
    ) -> None:
        """`shown` says in words what the pictures are where they are not plain frames (`showing.told`).

        `about` goal: a question is about one picture, given as a pair of itself; p is that of a yes.
        """
        if not config.url:
            raise BadInput(
                "--chat.url: is missing; give the endpoint's address, e.g. http://localhost:11434/v1"
            )
        need_installed("httpx2", "chat")
        self.config, self._shown = config, shown
        prompt = load_prompt(config.prompt).showing(shown)
        _check_prompt(prompt, config, about)
        self._setup = Setup(
            config,
            prompt,
            ApiKey(config.api_key_env),
            Budget(config),
            Pace(config.requests_per_minute, config.tokens_per_minute),
        )
        self._probed: list[Probed] = []  # one, once it was asked; shared by all samples

    @property
    def setup(self) -> Setup:
        """The prompt, the budget and what else belongs to this run."""
        return self._setup

    def again(self, sample: int) -> ChatLabeler:
        """This labeler for another answer to the same questions, stored apart; budget and pace are shared."""
        other = copy.copy(self)
        variant = f"{self.config.variant} sample {sample}".strip()
        other.config = dataclasses.replace(self.config, variant=variant)
        other._setup = dataclasses.replace(self._setup, config=other.config)
        return other

    @property
    def identity(self) -> Mapping[str, Any]:
        """What can change an answer; what a probe finds is left out, so that a rerun needs no call."""
        params = self.config.answer_params() | ({"shown": self._shown} if self._shown else {})
        return {
            "model": self.config.model,
            "prompt_version": self._setup.prompt.version,
            "params": params,
        }

    def probe(self) -> tuple[str, ...]:
        """Ask the endpoint a test question without any frame, once; returns notes for the user.

        Raises BadInput, in one line, for an endpoint that cannot be used.
        """
        if not self._probed:
            client = ChatClient(self.config, self._setup.key)
            with Session(client.close) as session:
                self._probed.append(session.run(probe(self._setup, client)))
        return self._probed[0].notes

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer a batch in order. When it must stop early, what was answered is yielded before it raises.

        A question that got no answer among others that did is then FAILED, and is asked again next time.
        """
        held: list[Preference | None] = [None] * len(questions)
        following = 0
        try:
            for index, answer in self.answers(questions, frames):
                held[index] = answer
                while following < len(held) and held[following] is not None:
                    # Nothing may come between these three: Ctrl-C there would shift answers by one.
                    answer = held[following]
                    following += 1
                    yield answer
        except (KeyboardInterrupt, Exception):
            last = max((i for i, answer in enumerate(held) if answer is not None), default=-1)
            for index in range(following, last + 1):
                yield held[index] or self._unanswered(questions[index])
            raise

    def answers(self, questions: Sequence[Question], frames: FrameSource) -> Iterator[tuple[int, Preference]]:
        """Yield (index of the question, answer) as they come, in any order; raises as `label` does."""
        if not questions:
            return
        self.probe()
        self._setup.budget.begin()
        client = ChatClient(self.config, self._setup.key)
        with Session(client.close) as session:
            asking = Asking(self._setup, client, self._probed[0].features)
            try:
                yield from self._stream(questions, frames, session, asking)
            except KeyboardInterrupt:
                session.cancel()
                yield from _taken(session, asking, 0)
                raise
        if asking.stop is not None:
            raise asking.stop

    def _stream(
        self, questions: Sequence[Question], frames: FrameSource, session: Session, asking: Asking
    ) -> Iterator[tuple[int, Preference]]:
        """Keep the endpoint busy: the pictures of further questions are ready before their turn.

        They are made in a thread of their own, so that no answer waits for them to be handed over.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="pictures") as pool:
            for start in range(0, len(questions), _CHUNK):
                if asking.stop is not None:
                    break
                making = pool.submit(self._with_images, questions[start : start + _CHUNK], frames)
                yield from _taken_while(session, asking, making)
                if making.exception() is not None:
                    # What is in flight is paid for, and handed over before this is raised.
                    asking.stop = making.exception()
                    break
                for index, (question, images) in enumerate(making.result(), start):
                    session.submit(index, asking.question(question, images))
                yield from _taken(session, asking, 2 * self.config.concurrency)
        yield from _taken(session, asking, 0)

    def _with_images(
        self, questions: Sequence[Question], frames: FrameSource
    ) -> list[tuple[Question, tuple[str, str]]]:
        """Read and encode the frames of some questions, each once, in ascending order."""
        wanted = np.unique([index for question in questions for index in question.shown]).astype(np.int64)
        images = zip(wanted.tolist(), frames(wanted), strict=True)
        uris = {index: data_uri(image, self.config) for index, image in images}
        return [(q, (uris[q.shown[0]], uris[q.shown[1]])) for q in questions]

    def _unanswered(self, question: Question) -> Preference:
        reason = "the run stopped before an answer came"
        return failed(reason, self.config.model, self._setup.prompt.version, question.order)


def _check_prompt(prompt: Prompt, config: ChatConfig, about: str) -> None:
    """Refuse a prompt that asks for something else; raises BadInput."""
    if (prompt.answers == "yes_no") != (about == "goal"):
        wanted = "answer: yes_no" if about == "goal" else "answer: choice or answer: number"
        raise BadInput(f"--chat.prompt: '{prompt.name}' has answer: {prompt.answers}; this needs {wanted}")
    if about == "goal" and config.both_orders == "always":
        raise BadInput("--chat.both-orders: one picture alone has no order; leave it at never")


def _taken(session: Session, asking: Asking, leave: int) -> Iterator[tuple[int, Preference]]:
    """Take answers as they come, until no more than `leave` are being waited for."""
    while session.waiting > leave:
        yield from _answer(*session.take(), asking)


def _taken_while(session: Session, asking: Asking, making: Future) -> Iterator[tuple[int, Preference]]:
    """Take answers as they come, until something else is made."""
    while not making.done():
        taken = session.take(_GLANCE)
        if taken is not None:
            yield from _answer(*taken, asking)


def _answer(index: int, future: Future, asking: Asking) -> Iterator[tuple[int, Preference]]:
    """The answer that came of a question, if one did; what went wrong stops the asking."""
    if future.cancelled():
        return
    if future.exception() is not None:
        asking.stop = asking.stop or future.exception()
    elif future.result() is not None:
        yield index, future.result()
