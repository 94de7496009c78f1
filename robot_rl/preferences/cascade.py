"""The cascade: a cheap judge answers every pair, an expensive one only those that it is unsure of.

`fit_cascade` compares the two on a few pairs and decides where the line lies; all answers of both judges go
through the label store under the judges' own names, so that no run pays for any of them twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.preferences.calibration import (
    LEAST,
    Calibration,
    as_it_is,
    calibration_error,
    choose_calibration,
    fit_reliability,
)
from robot_rl.preferences.cascade_labeler import (
    CascadeLabeler,
    CascadeReport,
    Certainty,
    Judge,
    Rule,
    lot,
    pictures,
)
from robot_rl.preferences.orders import merge
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import FrameSource, Labeler, Outcome, Preference, Question

__all__ = ["CascadeConfig", "CascadeLabeler", "CascadeReport", "fit_cascade"]
_NEVER: Certainty = (-1.0, 0.0, 0.0)  # a threshold that no pair is below
_LITTLE = 0.2  # log-odds, an error rate of 45 %: what such an answer is worth


@dataclass(frozen=True)
class CascadeConfig:
    """How much is asked of the expensive judge; raises BadInput for a value that cannot be used."""

    share: float = 0.19  # most calls to the expensive judge, calibration included, per pair
    calibration: int = 50  # pairs to compare the judges on, asked in both orders; at most half of the calls
    both_orders: bool = True  # ask about escalated pairs in both; False for a judge that does so itself
    seed: int = 0  # decides which pairs the judges are compared on

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 2.0:  # also refuses NaN
            raise BadInput(f"cascade: share must be in [0, 2], calls per pair, not {self.share}")
        if self.calibration < 0:
            raise BadInput(f"cascade: calibration must be a number of pairs >= 0, not {self.calibration}")


def fit_cascade(
    cheap: Labeler,
    expensive: Labeler,
    questions: Sequence[Question],
    frames: FrameSource,
    store: LabelStore,
    config: CascadeConfig | None = None,
    progress: Callable[[int], object] | None = None,
) -> CascadeLabeler:
    """Ask `cheap` everything and `expensive` about a few pairs, and make the cascade for these questions.

    The same questions, judges and config give the same cascade, whatever else the store knows. `progress` is
    told how many more are answered, of the questions and twice the calibration pairs. Raises what a judge
    raises; what was answered by then is in the store, and the same call continues.
    """
    config = config or CascadeConfig()
    identity = cheap.identity
    questions = list({q.key(cheap.name, identity): q for q in questions}.values())
    judges = Judge(cheap, store), Judge(expensive, store)
    p = _probabilities(judges[0].ask(questions, frames, progress))
    budget = math.floor(config.share * len(questions) + 1e-9)
    chosen = _calibration_sample(questions, p, min(config.calibration, budget // 4), config.seed)
    both = judges[1].ask_both([questions[index] for index in chosen], frames, progress)
    target = _probabilities([merge(*answers) for answers in both])
    known = np.isfinite(target)
    calibration, mapped = choose_calibration(p[chosen][known], target[known])
    found = _Compared(questions, p, chosen, both, p[chosen][known], target[known], calibration, mapped)
    rule, calls = _rule(found, budget, config)
    report = _report(found, rule, calls, judges)
    return CascadeLabeler(cheap, expensive, rule, store, report)


@dataclass(frozen=True)
class _Compared:
    """What the two judges said before anything was decided."""

    questions: Sequence[Question]
    p: np.ndarray  # (n,) of the cheap judge, NaN where it has none
    chosen: np.ndarray  # (k,) int64, questions of the calibration
    both: Sequence[tuple[Preference, Preference]]  # k answers of the expensive judge, in both orders
    known_p: np.ndarray  # (m,) the cheap judge's p where the expensive one has a p as well
    target: np.ndarray  # (m,) the expensive judge's
    calibration: Calibration
    mapped: np.ndarray  # (m,) known_p after calibration

    def asked(self) -> Iterator[tuple[Question, float | None]]:
        """Each question with the cheap judge's p."""
        for question, p in zip(self.questions, self.p.tolist(), strict=True):
            yield question, None if math.isnan(p) else p


def _rule(found: _Compared, budget: int, config: CascadeConfig) -> tuple[Rule, int]:
    """Fit both judges' reliability and the threshold; also the calls that are to come, at most."""
    compared = frozenset(pictures(found.questions[index]) for index in found.chosen)
    reliability = fit_reliability(_named_first(found.both))
    rule = Rule(found.calibration, reliability, _NEVER, config.both_orders, compared)
    prices = np.full(len(found.questions), 2 if config.both_orders else 1)
    prices[found.chosen] = 0  # asked already
    # A mirror image of a calibration pair is escalated as well, and is a question of its own.
    mirrored = np.array([rule.is_compared(question) for question in found.questions], bool)
    forced = int(prices[mirrored].sum())
    prices[mirrored] = 0
    certainties = [rule.certainty(*one) for one in found.asked()]
    threshold, calls = _threshold(certainties, prices, budget - 2 * len(found.chosen) - forced)
    return replace(rule, threshold=threshold), forced + calls


def _report(found: _Compared, rule: Rule, calls: int, judges: tuple[Judge, Judge]) -> CascadeReport:
    """Say what was found."""
    p, target = found.known_p, found.target
    escalated = sum(rule.escalates(q, p) for q, p in found.asked())
    report = CascadeReport(
        pairs=len(found.questions),
        calibration_pairs=len(found.chosen),
        calibration_answered=len(target),
        escalated_share=escalated / max(len(found.questions), 1),
        expected_calls=2 * len(found.chosen) + calls,
        threshold=round(0.5 + max(rule.threshold[0], -0.5), 6),
        calibrated=found.calibration != as_it_is(len(target)),
        error_before=calibration_error(p, target) if len(target) else None,
        error_after=calibration_error(found.mapped, target) if len(target) else None,
        agreement=rule.reliability.agreement,
        cheap_calls=judges[0].calls,
        expensive_calls=judges[1].calls,
    )
    names = judges[0].labeler.name, judges[1].labeler.name
    return replace(report, notes=tuple(_notes(report, rule, found, names)))


def _probabilities(answers: Sequence[Preference]) -> np.ndarray:
    """The answers' p (n,) float64, NaN where there is none."""
    return np.array([math.nan if answer.p is None else answer.p for answer in answers], np.float64)


def _calibration_sample(questions: Sequence[Question], p: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose questions (k,) int64: one of each of `count` equal parts, from the least sure to the surest."""
    known = np.flatnonzero(np.isfinite(p))
    away = np.round(np.abs(p[known] - 0.5), 6)
    order = known[np.lexsort(([lot(questions[index]) for index in known], away))]
    rng = np.random.default_rng(seed)
    parts = np.array_split(order, min(count, len(order))) if count and len(order) else []
    return np.array([rng.choice(part) for part in parts], np.int64)


def _named_first(both: Sequence[tuple[Preference, Preference]]) -> np.ndarray:
    """Whether each answer named the picture shown first, (m, 2) bool, of pairs decided in both orders."""
    decided = [pair for pair in both if all(a.p not in (None, 0.5) for a in pair)]
    return np.array([[(a.p < 0.5) == (a.order == "given") for a in pair] for pair in decided], bool)


def _threshold(certainties: Sequence[Certainty], prices: np.ndarray, budget: int) -> tuple[Certainty, int]:
    """The highest certainty to escalate at within `budget` calls, and the calls that makes.

    Pairs that are equally certain, as a pair and its mirror image are, go together.
    """
    level, spent, planned = _NEVER, 0, 0
    order = sorted(range(len(certainties)), key=certainties.__getitem__)
    for place, index in enumerate(order):
        planned += int(prices[index])
        if planned > budget:
            break
        if place + 1 == len(order) or certainties[order[place + 1]] != certainties[index]:
            level, spent = certainties[index], planned
    return level, spent


def _notes(report: CascadeReport, rule: Rule, found: _Compared, names: tuple[str, str]) -> Iterator[str]:
    """Say what a user should know before trusting the labels."""
    cheap, expensive = names
    known, both = found.p[np.isfinite(found.p)], found.both
    if len(known) and (known == 0.5).all():
        yield f"{cheap} calls every pair a tie: only pairs that {expensive} is asked about get a preference"
    elif report.calibration_answered < LEAST:
        yield (
            f"{expensive} answered {report.calibration_answered} of {report.calibration_pairs} calibration "
            f"pairs, and at least {LEAST} are needed: the p of {cheap} is used as it is"
        )
    elif rule.calibration.flat:
        yield (
            f"the p of {cheap} does not rise with the answers of {expensive}: it is taken for one half, and "
            f"only pairs that {expensive} is asked about get a preference"
        )
    failed = sum(any(answer.outcome is Outcome.FAILED for answer in pair) for pair in both)
    if failed:
        yield f"{failed} calibration pairs failed; the same command asks {expensive} about them again"
    if both and all(answer.outcome is Outcome.CANNOT_TELL for pair in both for answer in pair):
        yield f"{expensive} could tell none of the calibration pairs; asking it may be money lost"
    worth = rule.reliability
    if worth.pairs >= LEAST and max(worth.first, worth.second) < _LITTLE:
        yield f"the answers of {expensive} hang on which picture is shown first; they decide next to nothing"
    if not report.expected_calls:
        yield f"the share allows no call to {expensive} about {report.pairs} pairs"
