"""Agreement of raters against worked examples."""

import pytest

from robot_rl.preferences.human.agreement import agreements, cohens_kappa
from robot_rl.preferences.human.answer import preference
from tests.preferences.human.setup import questions


def test_kappa_of_the_textbook_table_of_fifty_grants():
    # Two readers: yes-yes 20, yes-no 5, no-yes 10, no-no 15; observed .7, by chance .5, kappa .4.
    one = ["yes"] * 25 + ["no"] * 25
    other = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(one, other) == pytest.approx(0.4)


def test_kappa_of_three_categories_by_hand():
    # Observed 3/4; by chance (2*1 + 1*2 + 1*1) / 16 = 5/16; kappa (12 - 5) / (16 - 5).
    assert cohens_kappa(["a", "a", "b", "c"], ["a", "b", "b", "c"]) == pytest.approx(7 / 11)
    assert cohens_kappa(["a", "b"], ["b", "a"]) == pytest.approx(-1.0)
    assert cohens_kappa(["a", "b"], ["a", "b"]) == 1.0


def test_kappa_says_nothing_where_chance_explains_all():
    assert cohens_kappa([], []) is None
    assert cohens_kappa(["tie"] * 3, ["tie"] * 3) is None
    assert cohens_kappa(["tie"] * 3, ["first"] * 3) == 0.0


def test_each_two_raters_are_compared_on_what_both_answered_in_terms_of_the_pair():
    given, swapped = questions(4), questions(4, order="swapped")
    anna = {i: preference(given[i], c, 1.0, "anna") for i, c in enumerate(["first", "tie", "second"])}
    # Ben saw the pairs the other way round, so that his "second" is Anna's "first".
    ben = {i: preference(swapped[i], c, 1.0, "ben") for i, c in enumerate(["second", "tie", "second", "tie"])}
    (found, none, _) = agreements({"anna": anna, "ben": ben, "cleo": {}}, range(4))
    assert (found.first, found.second, found.questions) == ("anna", "ben", 3)
    assert found.observed == pytest.approx(2 / 3)
    # By chance: first 1*2, tie 1*1, second 1*0, of 9.
    assert found.kappa == pytest.approx((6 - 3) / (9 - 3))
    assert (none.questions, none.observed, none.kappa) == (0, None, None)
