"""The interquartile mean and its interval, against arithmetic on paper and every possible resample."""

import itertools

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.aggregate import iqm, stratified_bootstrap


def test_the_middle_half():
    # Of 8 scores 2 go at either end: (3 + 4 + 5 + 6) / 4. Of 5, one: (1 + 2 + 9) / 3. Of 3, none.
    assert iqm(np.array([[1, 8], [2, 7], [3, 6], [4, 5]])) == 4.5
    assert iqm([0, 1, 2, 9, 100]) == pytest.approx(4)
    assert iqm([0, 1, 5]) == 2


def test_the_interval_is_that_of_all_resamples():
    # 3 runs of 1 task have 27 resamples of equal chance; their means' quantiles are what chance approaches.
    scores = np.array([0.0, 0.3, 0.9])
    every = [np.mean(draw) for draw in itertools.product(scores, repeat=3)]
    found = stratified_bootstrap(scores, resamples=20_000, confidence=0.8)
    assert found.mean == pytest.approx(0.4)
    assert found.low == pytest.approx(np.quantile(every, 0.1), abs=0.01)
    assert found.high == pytest.approx(np.quantile(every, 0.9), abs=0.01)


def test_tasks_are_resampled_each_on_its_own():
    # Each task is the same in all its runs: every resample is the same, though the tasks differ widely.
    found = stratified_bootstrap(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    # Drawn run by run, a low score of one task would always come with a high one of the other.
    opposed = stratified_bootstrap(np.array([[0.0, 1.0], [1.0, 0.0]]), statistic=np.mean)
    assert opposed.low == 0 and opposed.high == 1


def test_the_seed_decides_and_one_run_has_no_spread():
    scores = np.random.default_rng(0).uniform(size=(5, 2))
    assert stratified_bootstrap(scores, seed=1) == stratified_bootstrap(scores, seed=1)
    alone = stratified_bootstrap([0.7])
    assert (alone.mean, alone.low, alone.high) == (0.7, 0.7, 0.7)


def test_mistakes_are_named():
    with pytest.raises(BadInput, match="scores: must be runs x tasks"):
        iqm(np.zeros((0, 2)))
    with pytest.raises(BadInput, match="scores: must be finite, not nan"):
        stratified_bootstrap([0.1, np.nan])
