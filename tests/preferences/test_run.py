"""Labeling through the store: asked once, in order, resumed, nothing paid for lost."""

import pytest

from robot_rl.errors import RobotRLError
from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome, Pair, Preference
from tests.preferences.conformance import CountingLabeler, check_labeler
from tests.preferences.fakes import BrightLabeler, brightness_frames

PAIRS = [Pair(i, (i * 5 + 3) % 12) for i in range(12)] + [Pair(4, 4)]
FRAMES = brightness_frames()
QUESTIONS = make_questions(PAIRS, FRAMES, "open the drawer", "close the drawer")


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        yield store


def test_a_labeler_passes_the_conformance_test(tmp_path):
    check_labeler(BrightLabeler, FRAMES, PAIRS, tmp_path)


@pytest.mark.parametrize("fault", ["turned", "shuffled", "random", "order"])
def test_the_conformance_test_finds_faults(tmp_path, fault):
    class Faulty(BrightLabeler):
        calls = 0

        def label(self, questions, frames):
            answers = list(super().label(questions, frames))
            if fault == "turned":  # p is left in the order shown
                answers = [self._back(a) if a.order == "swapped" else a for a in answers]
            if fault == "shuffled":
                answers.sort(key=lambda a: a.p or 0.0)
            if fault == "random":
                Faulty.calls += 1
                answers = [Preference("preference", 1 / (1 + Faulty.calls), "bright", "mean", "1", a.order)
                           for a in answers]  # fmt: skip
            if fault == "order":
                answers = [Preference(a.outcome, a.p, "bright", "mean", "1") for a in answers]
            return answers

        def _back(self, a):
            return Preference(a.outcome, None if a.p is None else 1 - a.p, "bright", "mean", "1", a.order)

    with pytest.raises(AssertionError):
        check_labeler(Faulty, FRAMES, PAIRS, tmp_path)


def test_rerun_makes_no_call_and_progress_counts_every_question(store):
    labeler, seen = CountingLabeler(BrightLabeler()), []
    first = label_pairs(labeler, QUESTIONS, FRAMES, store, 5, seen.append)
    assert sum(seen) == len(QUESTIONS) and len(labeler.asked) == len(QUESTIONS)
    assert {a.outcome for a in first} == {Outcome.PREFERENCE, Outcome.TIE, Outcome.CANNOT_TELL}
    seen.clear()
    assert label_pairs(labeler, QUESTIONS, FRAMES, store, 5, seen.append) == first
    assert seen == [len(QUESTIONS)] and len(labeler.asked) == len(QUESTIONS)


def test_another_model_is_another_question(store):
    label_pairs(BrightLabeler(), QUESTIONS, FRAMES, store)
    other = CountingLabeler(BrightLabeler(model="median"))
    label_pairs(other, QUESTIONS, FRAMES, store)
    assert len(other.asked) == len(QUESTIONS)


def test_what_was_paid_before_an_interrupt_is_kept(store):
    class Interrupted(BrightLabeler):
        def label(self, questions, frames):
            for number, answer in enumerate(super().label(questions, frames)):
                if number == 3:
                    raise KeyboardInterrupt
                yield answer

    with pytest.raises(KeyboardInterrupt):
        label_pairs(Interrupted(), QUESTIONS, FRAMES, store, batch_size=8)
    resumed = CountingLabeler(BrightLabeler())
    label_pairs(resumed, QUESTIONS, FRAMES, store)
    assert len(resumed.asked) == len(QUESTIONS) - 3


def test_failed_questions_are_asked_again_and_only_those(store):
    class Flaky(BrightLabeler):
        def label(self, questions, frames):
            for number, answer in enumerate(super().label(questions, frames)):
                failure = Preference("failed", labeler="bright", cost=0.1, error="time-out")
                yield failure if number % 2 else answer

    first = label_pairs(Flaky(), QUESTIONS, FRAMES, store, batch_size=100)
    failed = sum(a.outcome is Outcome.FAILED for a in first)
    assert failed == len(QUESTIONS) // 2
    again = CountingLabeler(BrightLabeler())
    second = label_pairs(again, QUESTIONS, FRAMES, store)
    assert len(again.asked) == failed and all(a.outcome is not Outcome.FAILED for a in second)
    assert store.counts()[Outcome.FAILED] == failed


@pytest.mark.parametrize(("change", "text"), [(-1, "gave 12 answers to 13"), (1, "more answers than the 13")])
def test_a_wrong_number_of_answers_is_an_error(store, change, text):
    class Miscounting(BrightLabeler):
        def label(self, questions, frames):
            answers = list(super().label(questions, frames))
            return answers[:change] if change < 0 else answers + answers[:change]

    with pytest.raises(RobotRLError, match=text):
        label_pairs(Miscounting(), QUESTIONS, FRAMES, store)


def test_the_first_of_two_runs_wins_in_both(tmp_path):
    class Overtaken(BrightLabeler):
        """While it thinks, another run stores its own answers."""

        def label(self, questions, frames):
            with LabelStore(tmp_path / "labels.sqlite") as other:
                label_pairs(BrightLabeler(cost=7.0), questions, frames, other)
            return list(super().label(questions, frames))

    with LabelStore(tmp_path / "labels.sqlite") as store:
        answers = label_pairs(Overtaken(), QUESTIONS, FRAMES, store)
        assert {a.cost for a in answers} == {7.0}
        assert label_pairs(BrightLabeler(), QUESTIONS, FRAMES, store) == answers


def test_no_pairs_are_no_work(store):
    assert make_questions([], FRAMES, "x") == []
    assert label_pairs(BrightLabeler(), [], FRAMES, store) == []


class Streaming(BrightLabeler):
    """Answers the last question first, and stops after `most` answers."""

    most = 99

    def answers(self, questions, frames):
        answers = list(self.label(questions, frames))
        for index in reversed(range(len(answers))[-self.most :]):
            yield index, answers[index]
        if len(answers) > self.most:
            raise RobotRLError("the budget is spent")


def test_answers_that_come_in_any_order_are_kept_by_question(store):
    assert label_pairs(Streaming(), QUESTIONS, FRAMES, store) == list(
        BrightLabeler().label(QUESTIONS, FRAMES)
    )


def test_what_came_before_a_stream_stopped_is_stored(store):
    labeler, seen = Streaming(), []
    labeler.most = 5
    with pytest.raises(RobotRLError, match="budget"):
        label_pairs(labeler, QUESTIONS, FRAMES, store, progress=seen.append)
    assert sum(store.counts().values()) == 5
    assert sum(seen) == 5  # what is reported is what is stored
    labeler.most = 99
    assert len(label_pairs(labeler, QUESTIONS, FRAMES, store)) == len(QUESTIONS)


def test_a_stream_that_ends_early_is_refused(store):
    class Short(Streaming):
        def answers(self, questions, frames):
            return list(super().answers(questions, frames))[:-1]

    with pytest.raises(RobotRLError, match="12 answers to 13"):
        label_pairs(Short(), QUESTIONS, FRAMES, store)
