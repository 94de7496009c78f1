"""The labeler `human` for one rater: takes questions and frames, serves the page, and yields preferences.

`rate.rate` is for several raters at once, with a journal; this one asks what it is given in its order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from robot_rl.preferences.human.answer import NAME, identity, unanswered
from robot_rl.preferences.human.config import HumanConfig, check_name
from robot_rl.preferences.human.pictures import Pictures
from robot_rl.preferences.human.plan import turns_as_given
from robot_rl.preferences.human.service import check_installed, serve
from robot_rl.preferences.human.session import RaterSession
from robot_rl.preferences.types import FrameSource, Preference, Question


class HumanLabeler:
    """Asks one person on a page; of the config, `raters`, `shared` and `seed` are not looked at.

    `announce` is told the link, a new one in each call. Raises BadInput for a name that is none.
    """

    name = NAME

    def __init__(
        self, rater: str, config: HumanConfig | None = None, announce: Callable[[str], object] = print
    ) -> None:
        check_name(rater)
        check_installed()
        self.rater, self.config, self._announce = rater, config or HumanConfig(), announce

    @property
    def identity(self) -> Mapping[str, Any]:
        return identity(self.rater, self.config)

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer a batch in order; where the rater ends early, the rest is FAILED and asked again next time.

        After Ctrl-C what was answered is yielded before KeyboardInterrupt is raised.
        """
        held: list[Preference | None] = [None] * len(questions)
        try:
            for index, answer in self.answers(questions, frames):
                held[index] = answer
        except (KeyboardInterrupt, Exception):
            last = max((i for i, answer in enumerate(held) if answer is not None), default=-1)
            for index in range(last + 1):
                yield held[index] or unanswered(questions[index], self.rater)
            raise
        yield from held

    def answers(self, questions: Sequence[Question], frames: FrameSource) -> Iterator[tuple[int, Preference]]:
        """Yield (index of the question, answer) as answers become final, the last 20 at the end."""
        changed = threading.Event()
        turns = turns_as_given(questions, self.rater, self.config)
        session = RaterSession(self.rater, turns, changed=changed.set)
        if not turns:
            return
        pictures = Pictures(questions, frames)
        ticks = serve(self.config, {self.rater: session}, pictures, changed, self._announce)
        try:
            with closing(ticks):
                for _ in ticks:
                    yield from self._final(session)
        except (KeyboardInterrupt, Exception):
            session.settle()
            yield from self._final(session)
            raise
        session.settle()
        yield from self._final(session)
        for index in sorted(set(range(len(questions))) - session.answered()):
            yield index, unanswered(questions[index], self.rater)

    @staticmethod
    def _final(session: RaterSession) -> Iterator[tuple[int, Preference]]:
        """Hand over final answers, each to all questions of its content."""
        for key, answer in session.final.items():
            session.stored([key])
            for index in session.indices(key):
                yield index, answer
