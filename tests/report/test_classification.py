"""Error rates, AUC, calibration and switches by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.classification import rates, switches
from robot_rl.report.statistics import wilson

P = np.array([0.9, 0.8, 0.35, 0.7, 0.2, 0.1, 0.1, 0.3])
TRUTH = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
EPISODES = np.array([0, 0, 0, 0, 1, 1, 2, 2])


def test_rates_by_hand():
    found = rates(P, TRUTH, 0.5, EPISODES)
    assert (found.positives, found.negatives, found.episodes) == (3, 5, 3)
    means = {name: value for name, value, _, _ in found.rows()}
    assert means["false negatives"] == pytest.approx(1 / 3)  # 0.35 is missed
    assert means["false positives"] == pytest.approx(1 / 5)  # 0.7
    assert means["precision"] == means["recall"] == pytest.approx(2 / 3)
    assert means["accuracy"] == pytest.approx(6 / 8)
    # Of 15 pairs of success and none, 0.35 against 0.7 is the one in the wrong order.
    assert means["auc"] == pytest.approx(14 / 15)
    # Bins, sum of p against successes: .1 (.2, 0), .2 (.2, 0), .3 (.65, 1), .7 (.7, 0), …
    assert means["calibration error"] == pytest.approx((0.2 + 0.2 + 0.35 + 0.7 + 0.2 + 0.1) / 8)


def test_intervals_are_no_narrower_than_of_independent_frames():
    found = rates(P, TRUTH, 0.5, EPISODES)
    frames = wilson(1, 5)
    assert found.false_positives.low <= frames.low and found.false_positives.high >= frames.high
    # One episode holds all errors: resampling the episodes finds a wider spread than counting frames.
    truth, said = np.zeros(400, bool), np.repeat([1.0, 0, 0, 0, 0, 0, 0, 0], 50)
    alike = rates(said, truth, 0.5, np.repeat(np.arange(8), 50)).false_positives
    assert alike.mean == 0.125 and alike.high > 2 * wilson(50, 400).high
    # No error at all still leaves what so few frames cannot rule out.
    none = rates(np.zeros(50), np.zeros(50, bool), 0.5, np.arange(50)).false_positives
    assert none.mean == 0 and none.high == pytest.approx(wilson(0, 50).high)


def test_a_share_of_nothing_is_unknown():
    found = rates(np.array([0.1, 0.2]), np.zeros(2, bool), 0.5, np.array([0, 1]))
    assert all(math.isnan(value) for value in (found.precision.mean, found.recall.mean, found.auc.mean))
    with pytest.raises(BadInput, match="no frames"):
        rates(np.zeros(0), np.zeros(0, bool), 0.5, np.zeros(0))


def test_switches_by_hand():
    # Episodes: noticed one step late; missed; said without success; said early; success too short to count.
    truth = "00111 00111 00000 00011 00010".replace(" ", "")
    said = "00011 00101 01100 11011 00000".replace(" ", "")
    found = switches(
        *(np.array([c == "1" for c in text]) for text in (said, truth)), np.repeat(range(5), 5), hold=2
    )
    assert (found.reached, found.missed, found.others, found.false, found.early) == (3, 1, 1, 1, 1)
    assert found.delay == -1.0  # +1 and -3
