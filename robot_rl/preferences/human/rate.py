"""Has several raters judge questions at once: plan, page, journals, label store, and the ratings.

This is what `robot-rl label --labeler human` runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

from robot_rl.preferences.human.config import HumanConfig
from robot_rl.preferences.human.journal import Journal, journal_path
from robot_rl.preferences.human.pictures import Pictures
from robot_rl.preferences.human.plan import every_turn, keys_of, plan
from robot_rl.preferences.human.ratings import Ratings, collect
from robot_rl.preferences.human.service import check_installed, serve
from robot_rl.preferences.human.session import RaterSession
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Preference, Question

INTERRUPTED = "answers are in the label store; the same command goes on with the rest, under new links"
_Said = dict[str, dict[int, Preference]]  # rater -> index of the question -> his answer


def rate(
    config: HumanConfig,
    questions: Sequence[Question],
    frames: FrameSource,
    store: LabelStore,
    progress: Callable[[int], object] | None = None,
    announce: Callable[[str], object] = print,
) -> Ratings:
    """Serve the page until every rater has answered his questions or ended his part; returns what all said.

    `announce` is told one secret link a rater, new ones in each run. `progress` is told how many more of the
    questions have an answer, fewer after an undo. What was answered in an earlier run is not asked again, and
    nothing is served where nothing is left. Raises BadInput, and after Ctrl-C KeyboardInterrupt with a line
    for the user; what was answered is in the store by then.
    """
    check_installed()
    changed = threading.Event()
    with _journals(store, config) as journals:
        sessions = _sessions(config, questions, store, journals, changed)
        report = _Reporter(sessions, _said(questions, config, store), progress)
        try:
            _serve(config, sessions, Pictures(questions, frames), store, changed, announce, report)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(INTERRUPTED) from None
        finally:
            for session in sessions.values():
                session.settle()
            _move(sessions, store)
            for journal in journals.values():
                journal.remove()
    given = {rater: session.total for rater, session in sessions.items()}
    counted = [turn.indices[0] for turn in every_turn(questions, config.raters[0], config)]
    return collect(questions, _said(questions, config, store), given, counted)


@contextmanager
def _journals(store: LabelStore, config: HumanConfig) -> Iterator[dict[str, Journal]]:
    """Open the journal of each rater, all or none."""
    with ExitStack() as stack:
        yield {
            rater: stack.enter_context(closing(Journal(journal_path(store.path, rater))))
            for rater in config.raters
        }


def _sessions(
    config: HumanConfig,
    questions: Sequence[Question],
    store: LabelStore,
    journals: Mapping[str, Journal],
    changed: threading.Event,
) -> dict[str, RaterSession]:
    """One session a rater, which goes on where the label store and his journal end."""
    said, sessions = _said(questions, config, store), {}
    for rater, turns in plan(questions, config).items():
        stored = [turn.key for turn in turns if turn.indices[0] in said[rater]]
        sessions[rater] = RaterSession(rater, turns, stored, journals[rater], changed.set)
    _move(sessions, store)  # answers of a killed run to questions that are dealt to another rater by now
    said = _said(questions, config, store)
    for rater, session in sessions.items():
        session.drop({index for other, his in said.items() if other != rater for index in his})
    return sessions


def _serve(
    config: HumanConfig,
    sessions: Mapping[str, RaterSession],
    pictures: Pictures,
    store: LabelStore,
    changed: threading.Event,
    announce: Callable[[str], object],
    report: Callable[[], None],
) -> None:
    """Serve until all are done, storing what becomes final; nothing is served where nothing is left."""
    report()
    if all(session.complete for session in sessions.values()):
        return
    with closing(serve(config, sessions, pictures, changed, announce)) as ticks:
        for _ in ticks:
            for session in sessions.values():
                if session.over(config.grace):
                    session.settle()
            _move(sessions, store)
            report()
    report()


def _move(sessions: Mapping[str, RaterSession], store: LabelStore) -> None:
    """Put final answers into the label store; they are forgotten only when they are there."""
    for session in sessions.values():
        if final := session.final:
            store.put(final)
            session.stored(final)


def _said(questions: Sequence[Question], config: HumanConfig, store: LabelStore) -> _Said:
    """What the label store knows of each rater's answers, whichever picture he saw first."""
    said: _Said = {}
    for rater in config.raters:
        turns = every_turn(questions, rater, config)
        keys = {turn.indices: keys_of(turn.question, rater, config) for turn in turns}
        known = store.get([key for both in keys.values() for key in both])
        said[rater] = {}
        for indices, both in keys.items():
            answer = next((known[key] for key in both if key in known), None)
            if answer is not None:
                said[rater].update(dict.fromkeys(indices, answer))
    return said


class _Reporter:
    """Tells how many more questions have an answer since it was last called."""

    def __init__(
        self, sessions: Mapping[str, RaterSession], said: _Said, progress: Callable[[int], object] | None
    ) -> None:
        self._sessions = sessions
        self._before = {index for his in said.values() for index in his}
        self._progress = progress or (lambda count: None)
        self._told = 0

    def __call__(self) -> None:
        answered = self._before.union(*(session.answered() for session in self._sessions.values()))
        if len(answered) != self._told:
            self._progress(len(answered) - self._told)
            self._told = len(answered)
