"""The labeler oracle: right but for a chosen share of errors, the same whichever picture comes first."""

import math

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.oracle import OracleLabeler
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.types import Outcome, Pair
from tests.preferences.conformance import check_labeler
from tests.preferences.fakes import brightness_frames

FRAMES = brightness_frames()
REWARDS = np.random.default_rng(1).permutation(12).astype(float)
PAIRS = [Pair(i, (i * 5 + 3) % 12) for i in range(12)] + [Pair(4, 4)]
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 255, (200, 2, 2, 3), dtype=np.uint8)  # 200 pictures that differ
MANY = [Pair(int(a), int(b)) for a, b in RNG.integers(0, 200, (2000, 2)) if a != b]
VALUES = RNG.permutation(200).astype(float)


def ask(labeler, order="given", pairs=MANY):
    questions = make_questions(pairs, lambda indices: NOISE[indices], "a goal", "", order)
    return np.array([answer.p for answer in labeler.label(questions, lambda indices: NOISE[indices])])


TRUTH = np.array([float(VALUES[pair.second] > VALUES[pair.first]) for pair in MANY])


@pytest.mark.parametrize("settings", [{}, {"error_rate": 0.3}, {"error_rate": 1.0, "seed": 4}])
def test_the_contract(tmp_path, settings):
    check_labeler(lambda: OracleLabeler(REWARDS, **settings), FRAMES, PAIRS, tmp_path)


def test_without_errors_it_is_right():
    np.testing.assert_array_equal(ask(OracleLabeler(VALUES)), TRUTH)
    np.testing.assert_array_equal(ask(OracleLabeler(VALUES, error_rate=1.0)), 1 - TRUTH)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.4])
def test_the_error_rate_is_as_asked(rate):
    wrong = ask(OracleLabeler(VALUES, rate)) != TRUTH
    bound = 4 * math.sqrt(rate * (1 - rate) / len(MANY))  # four standard deviations
    assert abs(wrong.mean() - rate) < bound
    assert not np.array_equal(wrong, ask(OracleLabeler(VALUES, rate, seed=1)) != TRUTH)


def test_errors_are_the_pair_s_and_not_the_order_s():
    labeler = OracleLabeler(VALUES, 0.3)
    given = ask(labeler)
    np.testing.assert_array_equal(given, ask(labeler, "swapped"))
    np.testing.assert_array_equal(given, 1 - ask(labeler, pairs=[Pair(p.second, p.first) for p in MANY]))


def test_a_labeler_that_favours_the_first_picture():
    labeler = OracleLabeler(VALUES, always_first=0.25)
    given, swapped = ask(labeler), ask(labeler, "swapped")
    differ = given != swapped
    assert abs(differ.mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(MANY))
    assert (given[differ] == 0).all() and (swapped[differ] == 1).all()
    np.testing.assert_array_equal(given[~differ], TRUTH[~differ])


def test_equal_rewards_are_a_tie():
    questions = make_questions([Pair(0, 1), Pair(1, 2)], FRAMES, "a goal")
    answers = list(OracleLabeler(np.array([1.0, 1.0, 2.0]), 0.0).label(questions, FRAMES))
    assert [answer.outcome for answer in answers] == [Outcome.TIE, Outcome.PREFERENCE]
    assert [answer.p for answer in answers] == [0.5, 1.0]


def test_rates_out_of_range_and_other_rewards():
    for field in ("error_rate", "always_first"):
        for value in (-0.1, 2.0, math.nan):
            with pytest.raises(BadInput, match=f"oracle: {field} must be in .0, 1., not"):
                OracleLabeler(REWARDS, **{field: value})
    assert OracleLabeler(REWARDS).identity != OracleLabeler(REWARDS + 1).identity
