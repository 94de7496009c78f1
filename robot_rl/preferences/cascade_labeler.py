"""The labeler that a fitted cascade is: what becomes of a pair once both judges' reliability is known.

Made by `cascade.fit_cascade`; asks two other labelers through the label store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robot_rl.preferences.calibration import Calibration, Reliability, combined
from robot_rl.preferences.orders import OTHER, merge
from robot_rl.preferences.run import label_pairs
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Labeler, Outcome, Preference, Question

VERSION = "cascade-1"
Certainty = tuple[float, float, float]  # |calibrated p - 1/2|, |p - 1/2|, a number drawn from the pictures
_AT_ONCE = 256  # escalated pairs asked together: enough to keep an endpoint busy, few enough to show progress
_BATCH = 512  # questions a judge that does not stream is given at once


@dataclass(frozen=True)
class Rule:
    """All that decides what becomes of a pair, whatever else is asked beside it."""

    calibration: Calibration  # of the cheap judge's p
    reliability: Reliability  # of the expensive judge's answers
    threshold: Certainty  # pairs no more certain than this are escalated
    both_orders: bool
    compared: frozenset[str] = frozenset()  # pictures of calibration pairs: asked already, so escalated too

    def escalates(self, question: Question, p: float | None) -> bool:
        """Whether the expensive judge is asked, given the cheap one's p."""
        return self.is_compared(question) or self.certainty(question, p) <= self.threshold

    def is_compared(self, question: Question) -> bool:
        """Whether the judges were compared on this pair, either way round."""
        return pictures(question) in self.compared

    def certainty(self, question: Question, p: float | None) -> Certainty:
        """How sure the cheap judge is; where two pairs are equally sure their pictures draw lots."""
        p = 0.5 if p is None else p
        calibrated = float(self.calibration(p))
        return (round(abs(calibrated - 0.5), 6), round(abs(p - 0.5), 6), lot(question))


@dataclass(frozen=True)
class CascadeReport:
    """What happened; shares and errors in [0, 1], None where nothing was there to measure."""

    pairs: int  # different questions that the cascade was fitted on
    calibration_pairs: int
    calibration_answered: int  # of these, pairs that the expensive judge has a p for
    escalated_share: float  # of the pairs
    expected_calls: int  # to the expensive judge, calibration included; at most share * pairs
    threshold: float  # calibrated max(p, 1 - p) up to which pairs are escalated; 0 where none is
    calibrated: bool  # False: p is used as it is, as too few pairs or unseen ones say that it is better so
    error_before: float | None  # expected calibration error of the cheap p, on the calibration pairs
    error_after: float | None  # after calibration; each pair by a map that was fitted without it
    agreement: float | None  # of the expensive judge's two orders
    cheap_calls: int = 0  # questions put to it so far, not those that the store knew
    expensive_calls: int = 0
    notes: tuple[str, ...] = ()  # what a user should know


class CascadeLabeler:
    """Answers by the cheap judge's calibrated p where that is sure; elsewhere asks the expensive one.

    A pure function of the question: pictures, goal and order decide, not the rest of the batch. Its answers
    carry no cost or tokens of their own; the judges' answers do, which are in the same store.
    """

    name = "cascade"

    def __init__(
        self, cheap: Labeler, expensive: Labeler, rule: Rule, store: LabelStore, report: CascadeReport
    ) -> None:
        self.rule = rule
        self._cheap, self._expensive = Judge(cheap, store), Judge(expensive, store)
        self._report = report
        self._model = " > ".join(str(judge.identity["model"]) for judge in (cheap, expensive))

    @property
    def identity(self) -> Mapping[str, Any]:
        rule, judges = self.rule, (self._cheap.labeler, self._expensive.labeler)
        params = {
            name: {"labeler": judge.name, **judge.identity}
            for name, judge in zip(("cheap", "expensive"), judges, strict=True)
        }
        params |= {
            "calibration": [list(rule.calibration.p), list(rule.calibration.value)],
            "worth": [rule.reliability.first, rule.reliability.second],
            "threshold": list(rule.threshold),
            "both_orders": rule.both_orders,
            "compared": hashlib.sha256("".join(sorted(rule.compared)).encode()).hexdigest()[:16],
        }
        return {"model": self._model, "prompt_version": VERSION, "params": params}

    @property
    def report(self) -> CascadeReport:
        """What the fit found, and the calls made until now."""
        seen = self._report
        return replace(
            seen,
            cheap_calls=seen.cheap_calls + self._cheap.calls,
            expensive_calls=seen.expensive_calls + self._expensive.calls,
        )

    def label(self, questions: Sequence[Question], frames: FrameSource) -> Iterable[Preference]:
        """Answer a batch in order; where the expensive judge stops, its answers so far are in the store."""
        found = dict(self.answers(questions, frames))
        return [found[index] for index in range(len(questions))]

    def answers(self, questions: Sequence[Question], frames: FrameSource) -> Iterator[tuple[int, Preference]]:
        """Yield (index, answer): first what the cheap judge decides, then escalated pairs as they come.

        Raises what a judge raises, after what was answered.
        """
        said = self._cheap.ask(questions, frames)
        escalated = []
        for index, (question, answer) in enumerate(zip(questions, said, strict=True)):
            if self.rule.escalates(question, answer.p):
                escalated.append(index)
            else:
                yield index, self._by_cheap(question, answer)
        for start in range(0, len(escalated), _AT_ONCE):
            some = escalated[start : start + _AT_ONCE]
            asked = [questions[index] for index in some]
            if self.rule.both_orders:
                found = [merge(*both) for both in self._expensive.ask_both(asked, frames)]
            else:
                found = self._expensive.ask(asked, frames)
            for index, answer in zip(some, found, strict=True):
                yield index, self._by_both(questions[index], said[index], answer)

    def _by_cheap(self, question: Question, answer: Preference) -> Preference:
        """The cheap judge's answer alone: its outcome, and for a preference the calibrated p.

        A p that is mapped to one half is "cannot tell": a tie would teach a reward that both are equal.
        """
        name = self._cheap.labeler.name
        if answer.outcome is not Outcome.PREFERENCE:
            return self._answer(question, answer.outcome, answer.p, f"{name} decided", answer.error)
        return self._preference(
            question, float(self.rule.calibration(answer.p)), f"{name} decided, p was {answer.p:.3f}"
        )

    def _by_both(self, question: Question, cheap: Preference, expensive: Preference) -> Preference:
        """The expensive judge's answer, weighed together with the cheap judge's calibrated p.

        Log-odds are added, as for two witnesses who err each for himself given what is true (naive Bayes):
        the expensive judge's by its p, but no further than its reliability goes, and the calibrated p, which
        is the chance that the expensive judge says so, thus a little lower than the chance that it is true.
        That is on the safe side, as both judges err more where the frames differ little.

        A tie (conflict between the orders is one) and cannot-tell add nothing: the calibrated p stands, near
        one half as it is, and only where there is none the outcome is the expensive judge's. Failed stays
        failed: the store would keep a stopgap for good, while a failed pair is asked again.
        """
        names = f"{self._cheap.labeler.name} and {self._expensive.labeler.name}"
        p = float(self.rule.calibration(0.5 if cheap.p is None else cheap.p))
        if expensive.outcome is Outcome.FAILED:
            reason = f"{self._expensive.labeler.name}: {expensive.error}"
            return self._answer(question, Outcome.FAILED, None, "", reason)
        why = f": {expensive.rationale}" if expensive.rationale else ""
        if expensive.outcome is Outcome.PREFERENCE:
            evidence = self.rule.reliability.of(expensive.p, self._named(question, expensive.p))
            told = f"{names} decided, calibrated p was {p:.3f}{why}"
            return self._preference(question, combined(p, evidence), told)
        said = f"{self._expensive.labeler.name} said {expensive.outcome.value}{why}"
        if p == 0.5:
            return self._answer(question, expensive.outcome, expensive.p, said)
        return self._preference(question, p, f"{self._cheap.labeler.name} decided; {said}")

    def _named(self, question: Question, p: float) -> str:
        """Where the picture that an answer names was shown."""
        if self.rule.both_orders:
            return "both"
        return "first" if (p < 0.5) == (question.order == "given") else "second"

    def _preference(self, question: Question, p: float, why: str) -> Preference:
        outcome = Outcome.CANNOT_TELL if p == 0.5 else Outcome.PREFERENCE
        return self._answer(question, outcome, None if p == 0.5 else p, why)

    def _answer(
        self, question: Question, outcome: Outcome, p: float | None, why: str, error: str = ""
    ) -> Preference:
        order = question.order
        return Preference(outcome, p, self.name, self._model, VERSION, order, rationale=why, error=error)


class Judge:
    """A labeler behind the label store, and how many questions it was put."""

    def __init__(self, labeler: Labeler, store: LabelStore) -> None:
        self.labeler, self._store, self.calls = labeler, store, 0

    def ask(
        self,
        questions: Sequence[Question],
        frames: FrameSource,
        progress: Callable[[int], object] | None = None,
    ) -> list[Preference]:
        """Answer in order, from the store where it can."""
        identity = self.labeler.identity
        keys = {question.key(self.labeler.name, identity) for question in questions}
        self.calls += len(keys) - len(self._store.get(keys))
        return label_pairs(self.labeler, questions, frames, self._store, _BATCH, progress)

    def ask_both(
        self,
        questions: Sequence[Question],
        frames: FrameSource,
        progress: Callable[[int], object] | None = None,
    ) -> list[tuple[Preference, Preference]]:
        """Answer in both orders, the question's own first."""
        turned = [replace(question, order=OTHER[question.order]) for question in questions]
        flat = self.ask([q for both in zip(questions, turned, strict=True) for q in both], frames, progress)
        return list(zip(flat[::2], flat[1::2], strict=True))


def pictures(question: Question) -> str:
    """Name a pair by its pictures: 64 hex digits, whichever comes first and whichever is shown first."""
    both = sorted((question.first_hash, question.second_hash))
    return hashlib.sha256("|".join(both).encode()).hexdigest()


def lot(question: Question) -> float:
    """A number in [0, 1) drawn from a pair's pictures."""
    return int(pictures(question)[:12], 16) / 2**48
