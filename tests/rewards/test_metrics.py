"""Metrics against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.rewards.metrics import accuracy_by_gap, episode_order, holdout_report, pair_accuracy

SCORE = np.array([0.0, 1.0, 2.0, 2.0])
PAIRS = np.array([[0, 1], [1, 0], [2, 3], [0, 3]])


def test_pair_accuracy_by_hand() -> None:
    assert pair_accuracy(SCORE, PAIRS, p=[0.9, 0.9, 1.0, 0.5]) == 0.5  # right, wrong, half, tie left out
    assert pair_accuracy(SCORE, PAIRS, gap=[3.0, -0.1, 0.0, 2.0]) == 1.0
    assert np.isnan(pair_accuracy(SCORE, PAIRS, p=[0.5] * 4))


@pytest.mark.parametrize("given", [{}, {"p": np.ones(4), "gap": np.ones(4)}])
def test_labels_or_gaps_but_not_both(given: dict) -> None:
    with pytest.raises(BadInput, match="either p .* or gap"):
        pair_accuracy(SCORE, PAIRS, **given)


def test_accuracy_by_gap_by_hand() -> None:
    true = np.array([0.0, 1.0, 3.0, 6.0, 0.0])
    score = np.array([0.0, -1.0, 1.0, 2.0, 0.0])
    # True gaps: 1 (wrong), 2, -5, 6, 3 and -1 (wrong), and a pair of equals, which is left out.
    pairs = [[0, 1], [1, 2], [3, 1], [0, 3], [2, 3], [1, 0], [0, 4]]
    found = accuracy_by_gap(score, true, pairs)
    assert found.overall == pytest.approx(4 / 6)
    assert found.clear == 1.0
    np.testing.assert_array_equal(found.by_bin, [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(found.count, [2, 2, 2])
    assert accuracy_by_gap(score, true, pairs, bins=1).clear == 1.0
    assert np.isnan(accuracy_by_gap(score, true, [[0, 4]]).overall)


class Fixed:
    """A model whose answers are given."""

    def reward(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(features)), features[:, 0]

    def probability(self, features: np.ndarray, pairs: np.ndarray, *, noise: bool) -> np.ndarray:
        sure = np.array([0.95, 0.95, 0.05, 0.62])
        return 0.8 * sure + 0.1 if noise else sure


def test_holdout_report_by_hand() -> None:
    features = np.arange(5.0)[:, None]
    report = holdout_report(Fixed(), features, PAIRS, np.array([1.0, 0.0, 0.0, 0.5]))
    assert (report.pairs, report.ties) == (4, 1)
    assert report.agreement == pytest.approx(2 / 3)
    # Confidence .86 three times, right twice; and .596 for a tie, whose outcome is one half.
    assert report.ece == pytest.approx((abs(2 - 3 * 0.86) + abs(0.5 - 0.596)) / 4)
    assert report.mean_std == 1.5  # frames 0 to 3 are in pairs, frame 4 is not


def test_order_within_episodes() -> None:
    order = episode_order(np.array([1, 2, 9, 3, 2, 1, 5, 5, 7]), np.array([0, 0, 0, 1, 1, 1, 2, 2, 3]))
    np.testing.assert_allclose(order, [1, -1, np.nan, np.nan])


def test_equal_rewards_share_their_rank() -> None:
    # Ranks .5, .5, 2 against 0, 1, 2: 1.5 / sqrt(1.5 * 2).
    assert episode_order(np.array([4, 4, 5]), np.zeros(3))[0] == pytest.approx(0.8660254)
