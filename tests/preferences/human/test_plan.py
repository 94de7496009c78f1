"""Who gets which questions: shares, orders and sides."""

import dataclasses
from collections import Counter

from robot_rl.preferences.human.plan import every_turn, keys_of, plan
from tests.preferences.human.setup import config, questions

THREE = config("anna", "ben", "cleo")


def indices(turns):
    return [i for turn in turns for i in turn.indices]


def test_one_rater_gets_everything_once():
    turns = plan(questions(30), config("anna"))["anna"]
    assert sorted(indices(turns)) == list(range(30))
    assert indices(turns) != list(range(30))


def test_several_get_the_shared_ones_each_and_the_rest_is_divided():
    dealt = plan(questions(50), THREE)
    shared = {name: {t.indices for t in turns if t.shared} for name, turns in dealt.items()}
    assert shared["anna"] == shared["ben"] == shared["cleo"] and len(shared["anna"]) == 10
    counted = Counter(i for turns in dealt.values() for i in indices(turns))
    assert sorted(counted) == list(range(50))
    assert sorted(counted.values()) == [1] * 40 + [3] * 10
    assert sorted(len(turns) for turns in dealt.values()) == [23, 23, 24]


def test_shared_ones_are_spread_and_come_in_one_relative_order_so_that_early_stops_overlap():
    dealt = plan(questions(50), config("anna", "ben"))
    orders = {name: [t.indices for t in turns if t.shared] for name, turns in dealt.items()}
    assert orders["anna"] == orders["ben"]
    for turns in dealt.values():
        places = [i for i, turn in enumerate(turns) if turn.shared]
        assert len(places) == 10
        # 30 turns, a shared one somewhere in every stretch of 3
        assert all(abs(place - 3 * k) <= 3 for k, place in enumerate(places))
    assert indices(dealt["anna"]) != indices(dealt["ben"])


def test_all_or_none_may_be_shared():
    asked = questions(12)
    everybody = plan(asked, config("anna", "ben", shared=1.0))
    assert [sorted(indices(turns)) for turns in everybody.values()] == [list(range(12))] * 2
    nobody = plan(asked, config("anna", "ben", shared=0.0))
    assert sorted(indices(nobody["anna"]) + indices(nobody["ben"])) == list(range(12))


def test_the_plan_is_the_same_again_whatever_the_order_of_names_and_another_with_another_seed():
    asked = questions(40)
    assert plan(asked, THREE) == plan(asked, config("cleo", "anna", "ben"))
    assert plan(asked, THREE) != plan(asked, dataclasses.replace(THREE, seed=1))


def test_sides_are_tossed_for_each_pair_and_rater():
    asked = questions(60)
    sides = {
        name: {t.indices: t.question.order for t in every_turn(asked, name, THREE)} for name in THREE.raters
    }
    for one in sides.values():
        assert 18 <= sum(order == "swapped" for order in one.values()) <= 42
    assert sides["anna"] != sides["ben"]


def test_questions_of_one_content_are_one_turn_whichever_order_they_name():
    asked = [*questions(5), *questions(5, order="swapped")]
    turns = plan(asked, config("anna"))["anna"]
    assert sorted(turn.indices for turn in turns) == [(i, i + 5) for i in range(5)]
    turn = turns[0]
    anna, ben = (keys_of(turn.question, name, config()) for name in ("anna", "ben"))
    assert turn.key == anna[0] and len({*anna, *ben}) == 4
