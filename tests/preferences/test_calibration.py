"""Calibration and reliability, against numbers worked by hand and judges whose errors are known."""

import math

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.calibration import (
    as_it_is,
    calibration_error,
    choose_calibration,
    combined,
    cross_calibrated,
    fit_calibration,
    fit_reliability,
)


def answers(*groups):
    """p and targets of groups (p, pairs, how many the other judge decides for the second frame)."""
    p = np.concatenate([np.full(pairs, p) for p, pairs, _ in groups])
    target = np.concatenate([np.arange(pairs) < second for _, pairs, second in groups])
    return p, target.astype(float)


def test_a_map_by_hand():
    found = fit_calibration(*answers((0.6, 10, 6), (0.9, 10, 9)))
    assert found.p == (0.5, 0.6, 0.9)
    assert found.value == (0.5, 0.6, 0.9)
    expected = [0.75, 0.25, 0.9, 0.5, 0.55]  # flat beyond the last pairs
    np.testing.assert_allclose(found([0.75, 0.25, 1.0, 0.5, 0.55]), expected, atol=1e-6)


def test_answers_that_fall_where_p_rises_are_pooled():
    found = fit_calibration(*answers((0.6, 10, 8), (0.9, 10, 6)))
    assert found.p == pytest.approx((0.5, 0.75)) and found.value == pytest.approx((0.5, 14 / 20))


def test_no_more_is_claimed_than_the_pairs_bear_out():
    few, many = (fit_calibration(*answers((0.7, n, n - n // 2), (0.999, n, n))).value[-1] for n in (5, 500))
    assert few == pytest.approx(6 / 7, abs=1e-6) and many == pytest.approx(501 / 502, abs=1e-6)
    # A lone pair at the end makes no step: it joins the ten before it.
    lone = fit_calibration(*answers((0.6, 10, 5), (0.99, 1, 1)))
    assert lone.p[-1] == pytest.approx((6 + 0.99) / 11, abs=1e-6)
    assert lone.value[-1] == pytest.approx(6 / 11, abs=1e-6)


def test_a_step_across_one_half():
    found = fit_calibration(*answers((0.6, 10, 5), (0.7, 10, 4), (0.9, 10, 9)))
    # The step across one half has its centre there; from it the map rises to the next step's.
    assert found.p == (0.5, 0.9) and found.value == (0.5, 0.9)
    np.testing.assert_allclose(found([0.6, 0.3]), [0.6, 0.3], atol=1e-6)


def test_p_against_the_answers_is_taken_for_one_half():
    p, target = answers((0.6, 10, 4), (0.9, 10, 1))
    found = fit_calibration(p, target)
    assert found.flat and (found(np.linspace(0, 1, 11)) == 0.5).all()
    assert not fit_calibration(p, 1 - target).flat


def test_a_pair_and_its_mirror_image_are_alike():
    rng = np.random.default_rng(0)
    p = rng.random(60)
    target = np.where(rng.random(60) < np.maximum(p, 0.6), p > 0.3, rng.choice([0.5, 0.2], 60))
    turned = rng.random(60) < 0.5
    found = fit_calibration(p, target)
    assert fit_calibration(np.where(turned, 1 - p, p), np.where(turned, 1 - target, target)) == found
    assert fit_calibration(p[::-1], target[::-1]) == found
    np.testing.assert_allclose(found(p) - 0.5, 0.5 - found(1 - p), atol=1e-12)
    assert (np.diff(found(np.sort(p))) >= 0).all() and (np.diff(found.value) >= 0).all()
    assert len(found.value) > 2


def test_a_tie_is_one_half():
    half, _ = answers((0.9, 20, 0))
    assert fit_calibration(half, np.full(20, 0.5)).flat
    # p = 1/2 favours nobody, whatever the other judge says.
    p, target = answers((0.8, 20, 15))
    more = fit_calibration(np.append(p, np.full(9, 0.5)), np.append(target, np.ones(9)))
    assert more == fit_calibration(p, target)


def test_few_pairs_leave_p_as_it_is():
    assert fit_calibration(*answers((0.9, 9, 1))) == as_it_is(9)
    assert fit_calibration(np.full(50, 0.5), np.ones(50)) == as_it_is(0)
    np.testing.assert_allclose(as_it_is(9)([0.5, 0.7, 0.2, 1.0, 0.0]), [0.5, 0.7, 0.2, 0.95, 0.05])
    assert as_it_is(98)(1.0) == 0.99
    assert fit_calibration(*answers((0.9, 10, 1))) != as_it_is(10)


def test_a_map_is_taken_only_where_it_serves_unseen_pairs():
    p, target = answers((0.6, 20, 12), (0.9, 20, 18))
    order = np.random.default_rng(0).permutation(40)
    kept, mapped = choose_calibration(p[order], target[order])  # p is exactly right: no map can better it
    assert kept == as_it_is(40)
    np.testing.assert_array_equal(mapped, p[order])
    sure = np.where(p > 0.7, 0.999, 0.9)  # the same judge, too sure of himself
    taken, mapped = choose_calibration(sure[order], target[order])
    assert taken == fit_calibration(sure, target)
    np.testing.assert_array_equal(mapped, cross_calibrated(sure[order], target[order]))
    assert choose_calibration(np.empty(0), np.empty(0))[0] == as_it_is(0)


def test_calibration_error_by_hand():
    # Two at .9, of which one is right: .4 each; one at .8 that is right: .2; one at one half: 0.
    error = calibration_error(np.array([0.9, 0.9, 0.2, 0.5]), np.array([1.0, 0.0, 0.0, 1.0]))
    assert error == pytest.approx((0.8 + 0.2) / 4)
    assert math.isnan(calibration_error(np.array([]), np.array([])))


def test_calibration_lowers_the_error_of_pairs_it_never_saw():
    rng = np.random.default_rng(1)
    true = rng.normal(0, 1, 400)  # log-odds that the second is nearer; the judge says thrice as much
    p, target = 1 / (1 + np.exp(-3 * true)), (rng.random(400) < 1 / (1 + np.exp(-true))).astype(float)
    before, after = calibration_error(p, target), calibration_error(cross_calibrated(p, target), target)
    assert before > 0.15 and after < 0.5 * before


def test_each_pair_is_calibrated_without_itself():
    p, target = answers((0.6, 20, 12), (0.9, 20, 18))
    rng = np.random.default_rng(0)
    order = rng.permutation(40)
    p, target = p[order], target[order]
    found, out = cross_calibrated(p, target), np.arange(40) % 5 == 2
    np.testing.assert_array_equal(found[out], fit_calibration(p[~out], target[~out])(p[out]))
    assert len(cross_calibrated(p[:1], target[:1])) == 1


def test_worth_without_any_pair_and_of_a_judge_of_the_order_alone():
    nobody = fit_reliability(np.empty((0, 2), bool))
    a = 0.5 + math.sqrt(0.25 - 0.1)  # a + b = 1, ab = .5 / 5
    assert nobody.first == nobody.second == pytest.approx(math.log(a / (1 - a)), abs=1e-6)
    assert nobody.agreement is None and nobody.pairs == 0
    for always_first in (True, False):
        found = fit_reliability(np.full((95, 2), always_first))
        assert (found.first, found.second, found.agreement) == (0.0, 0.0, 0.0)


def test_worth_of_a_judge_with_known_errors():
    rng = np.random.default_rng(0)
    a, b = 0.9, 0.3  # names the first where that is right, where it is wrong
    right_first = np.stack([rng.random(40_000) < 0.5] * 2, 1)
    right_first[:, 1] = ~right_first[:, 0]
    named = rng.random((40_000, 2)) < np.where(right_first, a, b)
    found = fit_reliability(named)
    assert found.first == pytest.approx(math.log(a / b), abs=0.08)
    assert found.second == pytest.approx(math.log((1 - b) / (1 - a)), abs=0.08)
    assert found.agreement == pytest.approx(a * (1 - b) + b * (1 - a), abs=0.01)


def test_nobody_is_faultless():
    never_in_conflict = np.array([[True, False], [False, True]] * 2000)
    assert fit_reliability(never_in_conflict).first == pytest.approx(math.log(0.95 / 0.05))


def test_an_answer_counts_by_its_p_up_to_what_the_judge_is_worth():
    worth = fit_reliability(np.array([[True, True]] * 10 + [[True, False]] * 30))
    assert 0 < worth.first < worth.second  # who names the first too often says more with the second
    assert worth.of(1.0, "first") == worth.first and worth.of(0.0, "second") == -worth.second
    assert worth.of(1.0, "both") == pytest.approx((worth.first + worth.second) / 2)
    assert worth.of(0.55, "second") == pytest.approx(math.log(0.55 / 0.45))
    assert worth.of(0.5, "both") == 0.0


def test_evidence_is_added_in_log_odds():
    assert combined(0.6, math.log(4)) == pytest.approx(0.6 * 4 / (0.6 * 4 + 0.4), abs=1e-6)
    assert combined(0.5, 0.0) == 0.5 and combined(0.3, -math.log(0.3 / 0.7)) == 0.5


def test_what_is_no_probability_is_refused():
    for p, target in (([1.2], [1]), ([math.nan], [1]), ([0.5], [-0.1])):
        with pytest.raises(BadInput, match="calibration: (p|target) must be in .0, 1."):
            fit_calibration(np.array(p), np.array(target))
    with pytest.raises(BadInput, match="must be .n,. alike"):
        calibration_error(np.array([0.5]), np.array([0.5, 1]))
