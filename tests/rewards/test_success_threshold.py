"""Calibration and threshold by hand: few numbers, counted on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.rewards.success_heads import balance
from robot_rl.rewards.success_threshold import (
    check_support,
    choose_threshold,
    fit_platt,
    highest_rates,
    least_negatives,
    sigmoid,
)


def test_half_of_what_is_drawn_shows_success():
    # One frame of success among four: it is drawn half of the time; a label of 0.5 counts for both.
    assert balance(np.array([1.0, 0, 0, 0])) == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert balance(np.array([1.0, 0.5, 0.0])) == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_least_negatives():
    # 0.95^58 = 0.0510, 0.95^59 = 0.0485
    assert least_negatives(0.05) == 59
    assert least_negatives(0.01) == 299


def many(scores, truth, copies=400):
    """The same scores in `copies` episodes each, so that chance allows next to nothing on top of a rate."""
    scores, truth = np.array(scores, float), np.array(truth, bool)
    return np.tile(scores, copies), np.tile(truth, copies), np.repeat(np.arange(copies), len(scores))


def test_the_threshold_makes_the_fewest_errors_that_are_allowed():
    held = many([9, 8, 7, 6, 5, 4, 3, 2], [1, 1, 0, 1, 1, 0, 0, 0])
    # With 30 % of the negatives allowed, the one in four at 7 may pass, and all positives with it.
    assert choose_threshold(*held, 0.3) == 4.5
    # With fewer, only 9 and 8 pass; with exactly a quarter too, as chance may have helped.
    assert choose_threshold(*held, 0.2) == choose_threshold(*held, 0.25) == 7.5


def test_a_gap_is_cut_in_its_middle():
    assert choose_threshold(*many([1, 2, 8, 10], [0, 0, 1, 1]), 0.05) == 5.0


def test_equal_scores_pass_together_or_not_at_all():
    held = many([3, 3, 3, 1], [1, 1, 0, 0])
    assert choose_threshold(*held, 0.6) == 2.0
    assert choose_threshold(*held, 0.4) > 3.0


def test_the_highest_rate_that_frames_and_episodes_leave_possible():
    # 0 of 100: Wilson's one-sided end is z^2 / (n + z^2), z = 1.6449.
    none = highest_rates(np.zeros(100), np.arange(100), np.array([0.5]))
    assert none == pytest.approx([2.7055 / 102.7055], abs=1e-4)
    # All errors in one of 10 episodes: resampled, it is drawn thrice or more in 7 % and four times in 1.3 %
    # of the cases, so that 95 of 100 have at most 30 % errors, where counting frames alone says 10.5 %.
    scores, episodes = np.repeat(np.arange(10) == 0, 1000).astype(float), np.repeat(np.arange(10), 1000)
    assert highest_rates(scores, episodes, np.array([0.5])) == pytest.approx([0.3])


def test_platt_finds_the_probabilities():
    # Scores -1 and 1 with 1 of 4 and 3 of 4 successes; Platt's targets are 5/6 and 1/6, so that the two
    # groups' means are (5/6 + 3/6) / 4 = 1/3 and 2/3: slope log 2, offset 0.
    scores = np.repeat([-1.0, 1.0], 4)
    truth = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    assert fit_platt(scores, truth) == pytest.approx((math.log(2), 0.0), abs=1e-8)
    # The same scores in other units give the same probabilities.
    slope, offset = fit_platt(10 * scores + 100, truth)
    assert sigmoid(slope * (10 * scores + 100) + offset) == pytest.approx(sigmoid(math.log(2) * scores))


def test_a_score_that_falls_with_success_says_nothing():
    scores, truth = np.array([3.0, 2, 1, 0]), np.array([0, 0, 1, 1], bool)
    assert fit_platt(scores, truth) == (0.0, 0.0)


def test_classes_without_an_error_stay_finite():
    slope, offset = fit_platt(np.array([0.0, 1, 9, 10]), np.array([0, 0, 1, 1], bool))
    assert 0 < slope < 10 and math.isfinite(offset)


def test_rates_that_the_frames_cannot_show():
    truth, episodes = np.array([False] * 59 + [True]), np.arange(60)
    check_support(truth, episodes, 0.05)
    with pytest.raises(BadInput, match="58 held-out frames .*59 are needed.* ask for 0.051 or more"):
        check_support(truth[1:], episodes[1:], 0.05)
    with pytest.raises(BadInput, match="no held-out frame shows success"):
        check_support(truth[:59], episodes[:59], 0.05)
    with pytest.raises(BadInput, match="are of one episode"):
        check_support(truth, np.zeros(60), 0.05)
