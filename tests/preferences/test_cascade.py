"""The cascade: who is asked what, what becomes of two judges' answers, and that nothing is paid for twice."""

import dataclasses
import hashlib
import math
from statistics import NormalDist

import numpy as np
import pytest

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences.calibration import Reliability, as_it_is
from robot_rl.preferences.cascade import CascadeConfig, CascadeLabeler, fit_cascade
from robot_rl.preferences.cascade_labeler import CascadeReport, Rule
from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome, Pair, Preference, StreamingLabeler
from tests.preferences.conformance import CountingLabeler, check_labeler
from tests.preferences.fakes import brightness_frames

COUNT = 85
FRAMES = brightness_frames(COUNT)
BRIGHT = FRAMES(np.arange(COUNT)).mean((1, 2, 3)) / 100  # the true reward
RNG = np.random.default_rng(3)
EVERY = [Pair(a, b) if (a + b) % 2 else Pair(b, a) for a in range(COUNT) for b in range(a)]
PAIRS = [EVERY[i] for i in RNG.permutation(len(EVERY))[:400]]  # no two of the same pictures
QUESTIONS = make_questions(PAIRS, FRAMES, "a bright picture", "a dark one")
TRUE = np.array([BRIGHT[pair.second] > BRIGHT[pair.first] for pair in PAIRS])


def normal(*names):
    """A standard normal number that the names decide."""
    digest = hashlib.sha256("|".join(names).encode()).digest()
    return NormalDist().inv_cdf((int.from_bytes(digest[:6], "big") + 0.5) / 2**48)


class Judge:
    """Sees which picture is brighter, up to noise of the pair and of the call, and a liking for the first.

    `soft` judges answer with a probability; `says` overrides the answer: a function of (question, p).
    """

    def __init__(self, name, noise=0.0, call_noise=0.0, liking=0.0, soft=None, says=None):
        self.name, self.noise, self.call_noise, self.liking = name, noise, call_noise, liking
        self.soft, self.says = soft, says
        self.identity = {"model": f"{name} model", "prompt_version": "1", "params": {"noise": noise}}

    def label(self, questions, frames):
        for question in questions:
            left, right = frames(np.array(question.shown)).mean((1, 2, 3)) / 100
            hashes = question.first_hash, question.second_hash
            shown = hashes if question.order == "given" else hashes[::-1]
            sign = 1 if shown[0] < shown[1] else -1
            gap = right - left + self.noise * sign * normal(self.name, *sorted(shown)) - self.liking
            gap += self.call_noise * normal(self.name, "call", *shown)
            p = 1 / (1 + math.exp(-gap / self.soft)) if self.soft else float(gap > 0)
            p = 1 - p if question.order == "swapped" else p
            outcome = Outcome.PREFERENCE
            if self.says:
                outcome, p = self.says(question, p)
            error = "no answer" if outcome is Outcome.FAILED else ""
            yield Preference(outcome, p, self.name, self.identity["model"], "1", question.order, cost=0.01,
                             rationale="" if error else "looked", error=error)  # fmt: skip


def cheap(**changes):
    return CountingLabeler(Judge("cheap", **{"noise": 0.5, "soft": 0.2, **changes}))


def expensive(**changes):
    return CountingLabeler(Judge("expensive", **{"noise": 0.15, "call_noise": 0.1, "liking": 0.1, **changes}))


def right(answers):
    """Share that is right; what is no preference counts one half."""
    p = np.array([0.5 if a.p is None else a.p for a in answers])
    return float(np.where(p == 0.5, 0.5, (p > 0.5) == TRUE[: len(answers)]).mean())


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        yield store


@pytest.mark.parametrize("both_orders", [True, False])
def test_the_contract(tmp_path, both_orders):
    def sometimes(question, p):
        level = int(question.first_hash[:2], 16) + int(question.second_hash[:2], 16)
        kind = (Outcome.PREFERENCE, Outcome.TIE, Outcome.CANNOT_TELL, Outcome.PREFERENCE)[level % 4]
        return kind, {Outcome.PREFERENCE: p, Outcome.TIE: 0.5}.get(kind)

    with LabelStore(tmp_path / "inner.sqlite") as store:
        judges = cheap(says=sometimes), expensive(says=sometimes)
        config = CascadeConfig(share=0.6, both_orders=both_orders)
        fitted = fit_cascade(*judges, QUESTIONS, FRAMES, store, config)
        answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
        assert {a.outcome for a in answers} == {Outcome.PREFERENCE, Outcome.TIE, Outcome.CANNOT_TELL}
        assert 0.2 < fitted.report.escalated_share < 0.8

        def make():
            return CascadeLabeler(*judges, fitted.rule, store, fitted.report)

        assert isinstance(make(), StreamingLabeler)
        check_labeler(
            make, FRAMES, [*PAIRS[:40], Pair(5, 5)], tmp_path / "outer", "a bright picture", "a dark one"
        )


@pytest.mark.parametrize("share, both_orders, calibration", [
    (0.15, True, 50), (0.15, False, 50), (0.4, True, 20), (0.03, True, 50), (0.0, True, 50), (2.0, True, 50),
])  # fmt: skip
def test_calls_stay_within_the_share(store, share, both_orders, calibration):
    judges = cheap(), expensive()
    fitted = fit_cascade(*judges, QUESTIONS, FRAMES, store, CascadeConfig(share, calibration, both_orders))
    assert len(judges[1].asked) == 2 * min(calibration, int(share * 400) // 4)
    label_pairs(fitted, QUESTIONS, FRAMES, store)
    report = fitted.report
    assert report.expensive_calls == len(judges[1].asked) <= share * len(QUESTIONS) + 1e-9
    assert report.cheap_calls == len(judges[0].asked) == report.pairs == len(QUESTIONS)
    # No call of the share is left over that another pair could have had, up to what both orders cost.
    assert report.expected_calls == report.expensive_calls >= min(share, 2.0) * len(QUESTIONS) - 1.999


def test_the_least_sure_pairs_are_escalated(store):
    judges = cheap(), expensive()
    fitted = fit_cascade(*judges, QUESTIONS, FRAMES, store, CascadeConfig(0.4))
    judges[1].asked.clear()
    answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
    asked = {question.pair for question in judges[1].asked}
    said = label_pairs(judges[0], QUESTIONS, FRAMES, store)
    away = np.array([abs(answer.p - 0.5) for answer in said])
    escalated = np.array(["expensive" in answer.rationale for answer in answers])
    # Asked about already: the calibration pairs, over the whole range.
    later = np.array([pair in asked for pair in PAIRS])
    assert escalated[later].all() and escalated.sum() == later.sum() + 40
    assert away[later].max() <= away[~escalated].min()
    for answer, e in zip(answers, escalated, strict=True):
        assert answer.rationale.startswith(("cheap and expensive decided", "cheap decided; expensive said")
                                           if e else "cheap decided, p was")  # fmt: skip
    assert fitted.report.escalated_share == escalated.mean()


def test_better_than_the_cheap_judge_for_few_calls(store):
    judges = cheap(), expensive()
    fitted = fit_cascade(*judges, QUESTIONS, FRAMES, store, CascadeConfig(0.4, 30))
    cascade = right(label_pairs(fitted, QUESTIONS, FRAMES, store))
    alone, everything = (right(label_pairs(judge, QUESTIONS, FRAMES, store)) for judge in judges)
    assert alone + 0.03 < cascade and cascade > everything - 0.05
    assert 0.5 < fitted.report.agreement < 1 and not fitted.report.notes


def test_a_cheap_judge_that_is_too_sure_is_calibrated(store):
    sure = cheap(noise=1.0, soft=0.02)
    report = fit_cascade(sure, expensive(), QUESTIONS, FRAMES, store, CascadeConfig(0.5, 50)).report
    assert report.calibrated and report.error_after < 0.5 * report.error_before


def test_a_rerun_makes_no_call_and_everything_asked_later_is_not_paid_again(tmp_path):
    first, again, later = (cheap(), expensive()), (cheap(), expensive()), expensive()
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        fitted = fit_cascade(*first, QUESTIONS, FRAMES, store)
        answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
        spent = store.totals()[0]
        assert spent == pytest.approx(0.01 * (400 + fitted.report.expensive_calls))  # each answer's cost once
    with LabelStore(path) as store:
        refitted = fit_cascade(*again, QUESTIONS, FRAMES, store)
        assert refitted.identity == fitted.identity
        assert label_pairs(refitted, QUESTIONS, FRAMES, store) == answers
        assert not again[0].asked and not again[1].asked
        assert (refitted.report.cheap_calls, refitted.report.expensive_calls) == (0, 0)
        label_pairs(later, QUESTIONS, FRAMES, store)
        paid = {q.pair for q in first[1].asked if q.order == "given"}
        assert len(later.asked) == len(QUESTIONS) - len(paid)
        # What the store knows by now changes nothing.
        assert fit_cascade(*again, QUESTIONS, FRAMES, store).identity == fitted.identity


def test_answers_do_not_depend_on_the_batch(store, tmp_path):
    fitted = fit_cascade(cheap(), expensive(), QUESTIONS, FRAMES, store)
    together = list(fitted.label(QUESTIONS, FRAMES))
    with LabelStore(tmp_path / "other.sqlite") as other:
        alone = CascadeLabeler(cheap(), expensive(), fitted.rule, other, fitted.report)
        assert [next(iter(alone.label([question], FRAMES))) for question in QUESTIONS] == together


def test_progress_counts_both_judges(store):
    seen = []
    fit_cascade(cheap(), expensive(), QUESTIONS, FRAMES, store, progress=seen.append)
    assert sum(seen) == 400 + 2 * 19  # a quarter of 76 calls, in both orders


class Spent(RobotRLError):
    pass


class Stops:
    """An expensive judge whose budget ends."""

    def __init__(self, calls):
        self.inner, self.left, self.asked = expensive(), calls, []
        self.name, self.identity = self.inner.name, self.inner.identity

    def answers(self, questions, frames):
        for index, answer in reversed(list(enumerate(self.inner.inner.label(questions, frames)))):
            if not self.left:
                raise Spent("the budget allows no further question")
            self.left -= 1
            self.asked.append(questions[index])
            yield index, answer

    def label(self, questions, frames):
        found = dict(self.answers(questions, frames))
        return [found[index] for index in range(len(questions))]


@pytest.mark.parametrize("calls", [7, 45])  # in the calibration, and in the pairs after it
def test_an_expensive_judge_that_stops_is_continued(store, tmp_path, calls):
    stopping, resumed = Stops(calls), Stops(1000)
    with pytest.raises(Spent):
        label_pairs(fit_cascade(cheap(), stopping, QUESTIONS, FRAMES, store), QUESTIONS, FRAMES, store)
    assert store.counts()[Outcome.PREFERENCE] >= 400 + calls
    fitted = fit_cascade(cheap(), resumed, QUESTIONS, FRAMES, store)
    answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
    asked = [(q.pair, q.order) for q in stopping.asked + resumed.asked]
    assert len(asked) == len(set(asked)) == fitted.report.expected_calls
    with LabelStore(tmp_path / "whole.sqlite") as other:
        whole = fit_cascade(cheap(), expensive(), QUESTIONS, FRAMES, other)
        assert label_pairs(whole, QUESTIONS, FRAMES, other) == answers


def test_what_the_cheap_judge_decides_is_kept_when_the_expensive_one_stops(store):
    fitted = fit_cascade(cheap(), Stops(38), QUESTIONS, FRAMES, store)
    with pytest.raises(Spent):
        label_pairs(fitted, QUESTIONS, FRAMES, store)
    kept = store.get([question.key(fitted.name, fitted.identity) for question in QUESTIONS])
    assert len(kept) == 400 - round(400 * fitted.report.escalated_share)


def made(cheap_p, answers, store, both_orders=True, worth=(2.0, 3.0)):
    """A cascade that escalates all, of judges that say what they are told; `answers` by order."""

    def cheap_says(question, p):
        return (Outcome.CANNOT_TELL, None) if cheap_p is None else (Outcome.PREFERENCE, cheap_p)

    judges = cheap(says=cheap_says), expensive(says=lambda question, p: answers[question.order])
    rule = Rule(as_it_is(0), Reliability(*worth), (1.0, 1.0, 1.0), both_orders)
    report = CascadeReport(0, 0, 0, 0.0, 0, 0.0, False, None, None, None)
    return next(iter(CascadeLabeler(*judges, rule, store, report).label(QUESTIONS[:1], FRAMES)))


YES, NO, TIE = (Outcome.PREFERENCE, 1.0), (Outcome.PREFERENCE, 0.0), (Outcome.TIE, 0.5)
CANNOT, FAILED = (Outcome.CANNOT_TELL, None), (Outcome.FAILED, None)


def sigmoid_of(p, evidence):
    odds = p / (1 - p) * math.exp(evidence)
    return odds / (1 + odds)


def test_both_judges_evidence_is_added(store):
    answer = made(0.6, {"given": YES, "swapped": YES}, store)
    assert answer.p == pytest.approx(sigmoid_of(0.6, 2.5), abs=1e-6)
    assert answer.rationale == "cheap and expensive decided, calibrated p was 0.600: looked | looked"


def test_one_order_counts_by_where_the_picture_was_shown(store):
    yes = made(0.6, {"given": YES}, store, both_orders=False)
    assert yes.p == pytest.approx(sigmoid_of(0.6, 3.0), abs=1e-6)  # the second was shown second


def test_one_order_that_names_the_first(store):
    assert made(0.6, {"given": NO}, store, False).p == pytest.approx(sigmoid_of(0.6, -2.0), abs=1e-6)


def test_conflict_between_the_orders_leaves_the_calibrated_p(store):
    answer = made(0.6, {"given": NO, "swapped": YES}, store)  # both times the picture shown first
    assert (answer.outcome, answer.p) == (Outcome.PREFERENCE, pytest.approx(0.6))
    assert answer.rationale.startswith("cheap decided; expensive said tie")


@pytest.mark.parametrize("cheap_p, said, outcome, p", [
    (0.6, TIE, Outcome.PREFERENCE, 0.6),
    (0.6, CANNOT, Outcome.PREFERENCE, 0.6),
    (0.6, FAILED, Outcome.FAILED, None),
    (None, YES, Outcome.PREFERENCE, sigmoid_of(0.5, 2.5)),
    (None, TIE, Outcome.TIE, 0.5),
    (0.5, TIE, Outcome.TIE, 0.5),
    (None, CANNOT, Outcome.CANNOT_TELL, None),
    (None, FAILED, Outcome.FAILED, None),
])  # fmt: skip
def test_what_becomes_of_each_outcome(store, cheap_p, said, outcome, p):
    answer = made(cheap_p, {"given": said, "swapped": said}, store)
    assert answer.outcome is outcome and answer.p == (None if p is None else pytest.approx(p, abs=1e-6))
    assert answer.error == ("expensive: in one of both orders: no answer" if said == FAILED else "")


def test_a_failed_pair_is_asked_again(store):
    fails = expensive(says=lambda q, p: FAILED if q.first_hash < "4" else (Outcome.PREFERENCE, p))
    first = label_pairs(fit_cascade(cheap(), fails, QUESTIONS, FRAMES, store), QUESTIONS, FRAMES, store)
    assert any(answer.outcome is Outcome.FAILED for answer in first)
    again = label_pairs(fit_cascade(cheap(), expensive(), QUESTIONS, FRAMES, store), QUESTIONS, FRAMES, store)
    assert all(answer.outcome is Outcome.PREFERENCE for answer in again)


def test_few_questions(store):
    few = QUESTIONS[:30]
    fitted = fit_cascade(cheap(), expensive(), few, FRAMES, store)
    answers = label_pairs(fitted, few, FRAMES, store)
    assert fitted.report.calibration_pairs == 1 and fitted.report.expensive_calls == 4
    assert "expensive answered 1 of 1 calibration pairs, and at least 10" in fitted.report.notes[0]
    assert fitted.rule.calibration == as_it_is(1) and len(answers) == 30 and right(answers) > 0.6


def test_none_and_one_question(store):
    for some in ([], QUESTIONS[:1]):
        fitted = fit_cascade(cheap(), expensive(), some, FRAMES, store)
        assert len(label_pairs(fitted, some, FRAMES, store)) == len(some)
        assert fitted.report.notes[-1] == f"the share allows no call to expensive about {len(some)} pairs"


def test_a_cheap_judge_of_ties_alone(store):
    fitted = fit_cascade(cheap(says=lambda q, p: TIE), expensive(), QUESTIONS, FRAMES, store)
    answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
    report = fitted.report
    assert "cheap calls every pair a tie" in report.notes[0] and report.expensive_calls <= 76
    decided = sum(answer.outcome is Outcome.PREFERENCE for answer in answers)
    assert 20 < decided <= round(report.escalated_share * 400) == 38  # lots decide which: ties are all equal
    assert {answer.outcome for answer in answers} == {Outcome.PREFERENCE, Outcome.TIE}


def test_a_cheap_judge_that_is_wrong_is_not_believed(store):
    turned = cheap(says=lambda q, p: (Outcome.PREFERENCE, 1 - p))
    fitted = fit_cascade(turned, expensive(), QUESTIONS, FRAMES, store, CascadeConfig(0.4))
    answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
    assert (
        fitted.rule.calibration.flat
        and "does not rise with the answers of expensive" in fitted.report.notes[0]
    )
    assert fitted.report.error_after < 0.1 < fitted.report.error_before
    alone = [answer for answer in answers if answer.rationale.startswith("cheap decided, p was")]
    assert alone and {answer.outcome for answer in alone} == {Outcome.CANNOT_TELL}
    assert right(answers) > 0.5 > right(label_pairs(turned, QUESTIONS, FRAMES, store))


def test_an_expensive_judge_that_can_tell_nothing(store):
    blind = expensive(says=lambda q, p: CANNOT)
    fitted = fit_cascade(cheap(), blind, QUESTIONS, FRAMES, store)
    answers = label_pairs(fitted, QUESTIONS, FRAMES, store)
    said = label_pairs(cheap(), QUESTIONS, FRAMES, store)
    np.testing.assert_allclose([a.p for a in answers], np.clip([a.p for a in said], 0.05, 0.95), atol=1e-6)
    notes = " / ".join(fitted.report.notes)
    assert "answered 0 of 19 calibration pairs" in notes and "could tell none" in notes
    assert fitted.report.error_before is None and fitted.report.agreement is None


def test_an_expensive_judge_of_the_order_alone_decides_nothing(store):
    first = expensive(says=lambda q, p: NO if q.order == "given" else YES)
    fitted = fit_cascade(cheap(), first, QUESTIONS, FRAMES, store, CascadeConfig(0.4, both_orders=False))
    assert fitted.report.agreement == 0.0 and fitted.rule.reliability.first < 0.2
    assert "hang on which picture is shown first" in " / ".join(fitted.report.notes)


# 0.4025 of 800 are 322 calls, for 161 questions: the last one's mirror image would be the 162nd.
@pytest.mark.parametrize("config", [CascadeConfig(), CascadeConfig(0.4025, calibration=0)])
def test_a_pair_and_its_mirror_image_go_the_same_way(store, config):
    mirrored = [
        dataclasses.replace(q, pair=Pair(q.pair.second, q.pair.first), first_hash=q.second_hash,
                            second_hash=q.first_hash) for q in QUESTIONS
    ]  # fmt: skip
    both = [q for two in zip(QUESTIONS, mirrored, strict=True) for q in two]
    judges = cheap(), expensive()
    fitted = fit_cascade(*judges, both, FRAMES, store, config)
    answers = label_pairs(fitted, both, FRAMES, store)
    assert [a.outcome for a in answers[::2]] == [a.outcome for a in answers[1::2]]
    p = np.array([np.nan if a.p is None else a.p for a in answers])
    np.testing.assert_allclose(p[::2], 1 - p[1::2], atol=1e-6)
    assert 0 < len(judges[1].asked) <= config.share * len(both)


def test_calibration_covers_the_whole_range_of_p(store):
    judges = cheap(), expensive()
    fit_cascade(*judges, QUESTIONS, FRAMES, store, CascadeConfig(0.4, calibration=40))
    said = dict(zip(PAIRS, label_pairs(judges[0], QUESTIONS, FRAMES, store), strict=True))
    away = np.sort([abs(answer.p - 0.5) for answer in said.values()])
    chosen = np.sort([abs(said[q.pair].p - 0.5) for q in judges[1].asked if q.order == "given"])
    tenths = np.searchsorted(away, chosen) // 10  # 400 pairs in 40 parts
    assert (np.bincount(tenths, minlength=40) >= 1).mean() > 0.9


def test_a_share_out_of_range():
    for share in (-0.1, 2.5, math.nan):
        with pytest.raises(BadInput, match="cascade: share must be in .0, 2."):
            CascadeConfig(share)
    with pytest.raises(BadInput, match="cascade: calibration must be a number of pairs"):
        CascadeConfig(calibration=-1)
