"""The report's numbers against values worked by hand."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.statistics import (
    accuracy_by_quantile,
    bootstrap_mean,
    calibration_bins,
    expected_calibration_error,
    order_within_episodes,
    spearman,
    wilson,
)


def test_wilson_half_of_four():
    # p = 1/2, n = 4, z^2 = 3.8415: half width = z / (2 * sqrt(n + z^2)) = 1.95996 / (2 * 2.80027) = 0.34996.
    interval = wilson(2, 4)
    assert interval.mean == 0.5
    assert interval.low == pytest.approx(0.15004, abs=1e-4)
    assert interval.high == pytest.approx(0.84996, abs=1e-4)


def test_wilson_at_the_ends():
    # 0 of 10: low is 0, high is z^2 / (n + z^2) = 3.8415 / 13.8415.
    assert wilson(0, 10).low == 0.0
    assert wilson(0, 10).high == pytest.approx(0.27753, abs=1e-4)
    assert wilson(10, 10).high == 1.0
    assert wilson(10, 10).low == pytest.approx(0.72247, abs=1e-4)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(BadInput, match="successes"):
        wilson(successes, n)


def test_bootstrap_mean_repeats_and_encloses():
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    first = bootstrap_mean(values, seed=3)
    assert first == bootstrap_mean(values, seed=3)
    assert first.mean == pytest.approx(4 / 6)
    assert 0 <= first.low < first.mean < first.high <= 1
    constant = bootstrap_mean(np.full(5, 2.0), seed=0)
    assert (constant.low, constant.mean, constant.high) == (2.0, 2.0, 2.0)


def test_calibration_by_hand():
    # Bin [0.5, 1]: confidences 0.6, 0.8 (mean 0.7), one of two right: gap 0.2, weight 2/4.
    # Bin [0, 0.5): confidences 0.2, 0.4 (mean 0.3), none right: gap 0.3, weight 2/4. ECE = 0.1 + 0.15.
    confidence, correct = np.array([0.6, 0.8, 0.2, 0.4]), np.array([True, False, False, False])
    table = calibration_bins(confidence, correct, bins=2)
    np.testing.assert_allclose(table.accuracy, [0.0, 0.5])
    np.testing.assert_allclose(table.confidence, [0.3, 0.7])
    assert table.count.tolist() == [2, 2]
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx(0.25)


def test_a_confidence_of_one_falls_in_the_last_bin():
    assert calibration_bins(np.array([1.0, 0.0]), np.array([1, 1]), bins=4).count.tolist() == [1, 0, 0, 1]
    with pytest.raises(BadInput, match=r"\[0, 1\]"):
        calibration_bins(np.array([1.2]), np.array([1]))


def test_accuracy_by_quantile_by_hand():
    # Median of 1, 2, 3, 10 is 2.5: the lower two are half right, the upper two all right.
    table = accuracy_by_quantile(np.array([10.0, 1.0, 3.0, 2.0]), np.array([1, 0, 1, 1]), bins=2)
    np.testing.assert_allclose(table.edges, [1.0, 2.5, 10.0])
    np.testing.assert_allclose(table.accuracy, [0.5, 1.0])
    assert table.count.tolist() == [2, 2]


def test_accuracy_by_quantile_of_equal_gaps_is_one_bin():
    table = accuracy_by_quantile(np.ones(4), np.array([1, 0, 0, 0]), bins=3)
    assert table.count.tolist() == [4]
    assert table.accuracy.tolist() == [0.25]


def test_spearman_by_hand():
    assert spearman(np.array([1.0, 5.0, 9.0]), np.arange(3)) == pytest.approx(1.0)
    # Without ties 1 - 6 * sum(d^2) / (n * (n^2 - 1)); ranks 1 0 2 against 0 1 2: 1 - 6 * 2 / 24.
    assert spearman(np.array([4.0, 1.0, 9.0]), np.arange(3)) == pytest.approx(0.5)
    # Ranks 0, 1.5, 1.5 against 0, 1, 2: covariance 1.5 over sqrt(1.5 * 2).
    assert spearman(np.array([0.0, 7.0, 7.0]), np.arange(3)) == pytest.approx(np.sqrt(3) / 2)
    assert np.isnan(spearman(np.ones(3), np.arange(3)))


def test_order_within_episodes_splits_at_each_change():
    order = order_within_episodes(np.array([0.0, 1.0, 2.0, 5.0, 4.0]), np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(order, [1.0, -1.0])


def test_nan_is_named_by_index():
    with pytest.raises(BadInput, match="index 1"):
        bootstrap_mean(np.array([0.0, np.nan]), seed=0)
