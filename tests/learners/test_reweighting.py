"""Urgency, weights and draws by hand: whose prior data a fine-tuning looks at."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.reweighting import (
    Reweigher,
    Reweighting,
    TaskTable,
    TaskWeights,
    urgency,
    weights_of,
)


def test_urgency_by_hand():
    assert urgency([1.0, 1.0, 1.0]) == 0.0  # saturated
    assert urgency([0.0, 0.0]) == 1.0  # failing
    assert urgency([0.3]) == pytest.approx(0.7)  # one evaluation says nothing of a slope
    # Falling by 0.2 an evaluation: gap 0.2, lost over the window 0.4, on the line throughout.
    assert urgency([1.0, 0.8, 0.6]) == pytest.approx(0.2 + 0.4)
    # Rising on the way to the same mean: the gap alone.
    assert urgency([0.6, 0.8, 1.0]) == pytest.approx(0.2)
    # Wavering 1, 0, 1 around a flat line of 2/3: gap 1/3, residuals 1/3, -2/3, 1/3.
    assert urgency([1.0, 0.0, 1.0]) == pytest.approx(1 / 3 + np.sqrt(6 / 27))


def test_weights_by_hand():
    config = Reweighting(temperature=1.0, least=0.0)
    # softmax of 0 and log 3 is 1/4 and 3/4
    assert weights_of(np.array([0.0, np.log(3)]), config) == pytest.approx([0.25, 0.75])
    # Half of the equal share is kept: 1/4 + 1/2 * 1/4 and 1/4 + 1/2 * 3/4.
    half = Reweighting(temperature=1.0, least=0.5)
    assert weights_of(np.array([0.0, np.log(3)]), half) == pytest.approx([0.375, 0.625])
    assert weights_of(np.array([0.4, 0.4, 0.4]), config) == pytest.approx([1 / 3] * 3)


def test_a_saturated_task_gives_to_a_failing_one():
    weights = TaskWeights(["open", "close", "door"])
    assert weights.weights() == pytest.approx([1 / 3] * 3)
    weights.observe({"open": 1.0, "close": 1.0})
    assert weights.weights() == pytest.approx([1 / 3] * 3)  # nothing is known of the door
    for success in (0.9, 0.5, 0.2):
        weights.observe({"open": 1.0, "close": 1.0, "door": success})
    found = weights.weights()
    assert found[2] > 0.6 and found[0] == found[1] >= 0.5 / 3
    assert found.sum() == pytest.approx(1)


def test_only_the_window_counts_and_it_survives():
    weights = TaskWeights(["a", "b"], Reweighting(window=2))
    for a in (0.0, 0.0, 1.0, 1.0):
        weights.observe({"a": a, "b": 1.0})
    assert weights.weights() == pytest.approx([0.5, 0.5])
    weights.observe({"a": 0.5})
    again = TaskWeights(["a", "b"], Reweighting(window=2))
    again.load_state_dict(json.loads(json.dumps(weights.state_dict())))
    assert again.weights() == pytest.approx(weights.weights()) and again.weights()[0] > 0.5


def table(count):
    zeros = np.zeros((count, 1), np.float32)
    states = np.arange(count, dtype=np.float32)[:, None]
    flags = np.ones(count, np.float32), np.ones(count, bool)
    return TransitionTable(
        Transitions(states, zeros, zeros[:, 0], flags[0], states, flags[1], np.arange(count))
    )


def test_batches_are_drawn_by_task():
    tasks = np.array([1, 0, 1, 1, 2, 1])  # task 0 has one transition, task 2 another
    by_task = TaskTable(table(6), tasks, np.array([0.2, 0.3, 0.5]))
    rows = by_task.sample(20_000, torch.Generator().manual_seed(0)).observations[:, 0].numpy().astype(int)
    share = np.bincount(rows, minlength=6) / len(rows)
    assert share == pytest.approx([0.075, 0.2, 0.075, 0.075, 0.5, 0.075], abs=0.01)
    by_task.weigh(np.array([0.0, 1.0, 0.0]))
    rows = by_task.sample(500, torch.Generator().manual_seed(0)).observations[:, 0].numpy().astype(int)
    assert set(rows) == {0, 2, 3, 5} and len(by_task) == 6


def test_prior_data_follows_what_is_heard_of_each_task():
    class Learner:
        class offline:
            class spec:
                state_names = ("x", "task.open", "task.close")

        def weigh_tasks(self, tasks, weights):
            self.tasks, self.weights = tasks, weights

    states = np.array([[9, 0, 1], [9, 1, 0], [9, 0, 1]], np.float32)
    zeros, ones = np.zeros((3, 1), np.float32), np.ones(3, np.float32)
    prior = Transitions(states, zeros, ones, ones, states, ones > 0, np.arange(3))
    learner = Learner()
    hear = Reweigher(learner, prior, Reweighting(temperature=1.0, least=0.0))
    assert hear({"open": 1.0}) == {"open": 0.5, "close": 0.5}  # nothing is known of close yet
    shares = hear({"open": 1.0, "close": 0.0})  # urgencies 0 and 1: 1 / (1 + e)
    assert shares == pytest.approx({"open": 1 / (1 + np.e), "close": np.e / (1 + np.e)})
    assert learner.tasks.tolist() == [1, 0, 1] and learner.weights == pytest.approx([*shares.values()])


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="no task 'dor'. Did you mean 'door'"):
        TaskWeights(["door"]).observe({"dor": 1.0})
    with pytest.raises(BadInput, match="must be in"):
        TaskWeights(["door"]).observe({"door": 1.5})
    with pytest.raises(BadInput, match="a task of 0 to 1 for each of 3"):
        TaskTable(table(3), np.array([0, 1, 2]), np.ones(2))
    with pytest.raises(BadInput, match="task 1 has weight but no transition"):
        TaskTable(table(2), np.array([0, 0]), np.ones(2))
    with pytest.raises(BadInput, match="needs 2 weights"):
        TaskTable(table(2), np.array([0, 1]), np.ones(2)).weigh(np.zeros(2))
    with pytest.raises(BadInput, match="window >= 2"):
        Reweighting(window=1)
