"""One rater's session: repeats, tabs, undo, and what the page is told."""

import math

import pytest

from robot_rl.preferences.human.history import DEPTH
from robot_rl.preferences.human.journal import Journal
from robot_rl.preferences.human.plan import turns_as_given
from robot_rl.preferences.human.session import RaterSession, pictures_of
from robot_rl.preferences.types import Outcome
from tests.preferences.human.setup import TASK, config, questions


def session(count=30, **changes):
    return RaterSession("anna", turns_as_given(questions(count), "anna", config()), **changes)


def answer(one, choice="first", seconds=2.0):
    """Answer the current question; returns what the page was told of it."""
    question = one.state()["question"]
    assert one.answer(question["key"], question["attempt"], choice, seconds)
    return question


def test_the_page_is_told_what_it_shows():
    one = session(5)
    state, turn = one.state(), turns_as_given(questions(5), "anna", config())[0]
    assert state["question"] == {
        "key": turn.key,
        "attempt": 0,
        "task": TASK,
        "first": turn.question.first_hash,
        "second": turn.question.second_hash,
    }
    assert (state["done"], state["total"], state["undo"], state["pace"]) == (0, 5, None, None)
    assert len(state["next"]) == 6 and state["finished"] == ""


def test_a_swapped_question_shows_its_second_picture_first():
    turn = turns_as_given(questions(1, order="swapped"), "anna", config())[0]
    assert pictures_of(turn) == (turn.question.second_hash, turn.question.first_hash)


def test_pace_and_time_left_by_hand():
    one = session(25)
    for seconds in (1.0, 2.0, 3.0, 4.0):
        answer(one, seconds=seconds)
    assert one.state()["pace"] is None  # too few to tell
    answer(one, seconds=500.0)  # a break, which counts as one minute
    assert one.state()["pace"] == pytest.approx(60 * 5 / 70)
    assert one.state()["minutes_left"] == pytest.approx(20 / (60 * 5 / 70))


def test_a_repeat_and_a_second_tab_count_nothing():
    one = session(5)
    question = answer(one, "first")
    assert not one.answer(question["key"], 0, "first", 2.0)
    assert not one.answer(question["key"], 0, "second", 2.0)
    one.settle()
    (only,) = one.final.values()
    assert (only.outcome, only.p, only.latency) == (Outcome.PREFERENCE, 0.0, 2.0)


def test_an_undone_question_comes_again_and_a_late_repeat_of_its_first_answer_counts_nothing():
    one = session(5)
    question = answer(one, "first")
    assert one.undo(question["key"], 0) and not one.undo(question["key"], 0)
    again = one.state()["question"]
    assert again == {**question, "attempt": 1} and one.state()["done"] == 0
    assert not one.answer(question["key"], 0, "first", 2.0)
    assert one.answer(question["key"], 1, "tie", 2.0)
    assert one.state()["undo"] == {"key": question["key"], "attempt": 1}


def test_an_undo_sent_twice_takes_back_one_answer():
    one = session(5)
    answer(one)
    last = answer(one)
    assert one.undo(last["key"], 0)
    assert not one.undo(last["key"], 0)
    assert one.state()["done"] == 1


def test_twenty_can_be_undone_and_older_ones_are_final():
    one = session(30)
    asked = [answer(one) for _ in range(DEPTH + 3)]
    assert list(one.final) == [question["key"] for question in asked[:3]]
    undone = 0
    while undo := one.state()["undo"]:
        assert one.undo(**undo)
        undone += 1
    assert undone == DEPTH and one.state()["done"] == 3
    assert one.state()["question"]["key"] == asked[3]["key"]


def test_final_answers_stay_until_they_are_stored():
    one = session(2)
    answer(one)
    one.settle()
    keys = list(one.final)
    assert keys == list(one.final)
    one.stored(keys)
    assert not one.final and one.state()["done"] == 1 and one.answered() == {0}


def test_strange_times_are_tamed_and_a_foreign_question_is_refused():
    one = session(5)
    for seconds in (math.nan, -3.0, math.inf, 1e9):
        answer(one, seconds=seconds)
    one.settle()
    assert [a.latency for a in one.final.values()] == [0.0, 0.0, 0.0, 86_400.0]
    with pytest.raises(KeyError):
        one.answer("f" * 64, 0, "first", 1.0)


def test_over_when_all_is_answered_for_long_enough_or_ended_early():
    one = session(2)
    one.finish(True)
    assert one.over(3600) and one.state()["finished"] == "early" and one.state()["question"] is None
    one.finish(False)
    answer(one)
    assert not one.over(0)
    answer(one)
    assert one.over(0) and not one.over(3600) and one.state()["finished"] == "all"
    one.undo(**one.state()["undo"])
    assert not one.over(0)


def test_a_killed_session_goes_on_exactly_with_undo(tmp_path):
    journal = Journal(tmp_path / "j")
    one = session(30, journal=journal)
    for choice in ("first", "second", "tie", "cannot_tell"):
        answer(one, choice)
    one.undo(**one.state()["undo"])
    before = one.state()
    journal.close()  # as the kernel does at a kill; nothing else is done
    again = session(30, journal=Journal(tmp_path / "j"))
    assert again.state() == before and before["done"] == 3
    assert before["question"]["attempt"] == 1
    again.undo(**again.state()["undo"])
    assert again.state()["done"] == 2


def test_answers_of_a_killed_run_to_other_questions_become_final(tmp_path):
    journal = Journal(tmp_path / "j")
    one = session(30, journal=journal)
    kept = [answer(one)["key"] for _ in range(3)]
    journal.close()
    turns = turns_as_given(questions(30)[2:], "anna", config())
    again = RaterSession("anna", turns, journal=Journal(tmp_path / "j"))
    assert list(again.final) == kept[:2]
    assert again.state()["undo"]["key"] == kept[2]


def test_questions_that_another_has_answered_are_dropped_unless_shared_or_answered():
    turns = turns_as_given(questions(4), "anna", config())
    one = RaterSession("anna", turns)
    answer(one)
    one.drop({0, 1, 2})
    assert one.total == 2 and one.state()["done"] == 1
    one.drop({3})
    assert one.complete
