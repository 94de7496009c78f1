"""Several raters' answers as one, and the tables made of them."""

import pytest

from robot_rl.preferences.human.answer import preference
from robot_rl.preferences.human.pace import pace
from robot_rl.preferences.human.ratings import collect, merged
from robot_rl.preferences.human.summary import agreement_table, left_share, ranking_table, rater_table
from robot_rl.preferences.ranking import EpisodeSkill
from robot_rl.preferences.types import Outcome
from tests.preferences.human.setup import questions

ASKED, TURNED = questions(4), questions(4, order="swapped")


def said(*choices):
    """What raters r0, r1, ... said of the first question, all with its first picture first."""
    return [preference(ASKED[0], choice, 2.0, f"r{i}") for i, choice in enumerate(choices)]


@pytest.mark.parametrize(
    ("choices", "outcome", "p"),
    [
        (["second"], Outcome.PREFERENCE, 1.0),
        (["second", "second", "first"], Outcome.PREFERENCE, 2 / 3),
        (["second", "tie"], Outcome.PREFERENCE, 0.75),
        (["first", "second"], Outcome.PREFERENCE, 0.5),  # they differ, which is no tie
        (["tie", "tie"], Outcome.TIE, 0.5),
        (["tie", "cannot_tell"], Outcome.TIE, 0.5),
        (["first", "cannot_tell"], Outcome.PREFERENCE, 0.0),
        (["cannot_tell", "cannot_tell"], Outcome.CANNOT_TELL, None),
        ([], Outcome.FAILED, None),
    ],
)
def test_merging(choices, outcome, p):
    answer = merged(said(*choices), ASKED[0])
    assert answer.outcome is outcome
    assert answer.p == (None if p is None else pytest.approx(p))
    assert answer.labeler == "human" and bool(answer.error) == (not choices)


def test_a_merged_answer_names_whom_it_rests_on_and_the_seconds_of_all():
    answer = merged(said("second", "cannot_tell", "tie"), ASKED[0])
    assert (answer.model, answer.latency, answer.order) == ("r0+r2", 6.0, "given")


def test_the_side_is_taken_out_of_the_answer():
    for question, first, second in ((ASKED[0], 0.0, 1.0), (TURNED[0], 1.0, 0.0)):
        assert preference(question, "first", 1.0, "anna").p == first
        assert preference(question, "second", 1.0, "anna").p == second


def ratings():
    anna = {i: preference(q, "first", 3.0, "anna") for i, q in enumerate([ASKED[0], TURNED[1], ASKED[2]])}
    ben = {0: preference(ASKED[0], "first", 6.0, "ben"), 1: preference(ASKED[1], "cannot_tell", 6.0, "ben")}
    return collect(ASKED, {"anna": anna, "ben": ben}, {"anna": 3, "ben": 4}, range(4))


def test_collecting():
    found = ratings()
    assert [a.p for a in found.answers] == [0.0, 1.0, 0.0, None]
    assert found.answers[3].error == "not answered yet" and found.unanswered == 1
    assert found.pace == {"anna": pytest.approx(20.0), "ben": pytest.approx(10.0)}


def test_tables_for_the_terminal():
    header, rows = rater_table(ratings())
    assert header == ["rater", "answered", "of", "preferences", "ties", "cannot tell", "left", "pairs/min"]
    assert rows == [["anna", 3, 3, 3, 0, 0, "100%", "20.0"], ["ben", 2, 4, 1, 0, 1, "100%", "10.0"]]
    assert agreement_table(ratings())[1] == [["anna and ben", 2, "50%", "0.33"]]
    skills = [EpisodeSkill(i + 1, i, 30.0 - i, 2.0, 4 * (i != 3), 2.5) for i in range(8)]
    places = [row[0] for row in ranking_table(skills, most=2)[1]]
    assert places == [1, 2, 7, 8]
    assert len(ranking_table(skills)[1]) == 7


def test_the_left_share_tells_who_did_not_look():
    assert left_share([preference(q, "first", 1.0, "a") for q in (*ASKED, *TURNED)]) == 1.0
    both = [preference(ASKED[0], "first", 1.0, "a"), preference(TURNED[0], "second", 1.0, "a")]
    assert left_share(both) == 0.5
    assert left_share(said("tie")) is None and pace([]) is None
