"""Transitions and returns against numbers worked by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.replay import ReplayBuffer, Transitions, transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_episode, make_writer


def rows(count: int, first: int = 0) -> Transitions:
    steps = np.arange(first, first + count, dtype=np.float32)
    return Transitions(
        steps[:, None] * [1, 2],
        steps[:, None],
        steps,
        np.ones(count, np.float32),
        steps[:, None] + [1, 1],
        np.zeros(count, bool),
        steps.astype(np.int64),
    )


def test_transitions_of_a_dataset(tiny_dataset: Dataset) -> None:
    t = transitions_from_dataset(tiny_dataset)
    states = tiny_dataset.column("observation.state")
    assert (len(t), t.dropped) == (48, 0)
    np.testing.assert_array_equal(t.next_observations[:11], states[1:12])
    np.testing.assert_array_equal(t.next_observations[11], make_episode(0).final_observation["state"])
    np.testing.assert_array_equal(np.flatnonzero(t.episode_ends), [11, 23, 35, 47])
    np.testing.assert_array_equal(np.flatnonzero(t.masks == 0), [23, 47])
    np.testing.assert_array_equal(t.rewards, tiny_dataset.column("next.reward"))
    assert not transitions_from_dataset(tiny_dataset, None).rewards.any()


def test_last_steps_without_a_successor_are_dropped(tmp_path: Path) -> None:
    writer = make_writer(tmp_path / "d")
    for i in range(3):  # only episode 1 terminates
        writer.write(i, dataclasses.replace(make_episode(i), final_observation=None))
    writer.close()
    t = transitions_from_dataset(Dataset.open(tmp_path / "d"))
    assert (len(t), t.dropped) == (34, 2)
    assert t.frame.tolist() == [*range(11), *range(12, 35)]
    np.testing.assert_array_equal(t.frame[t.episode_ends], [10, 23, 34])
    np.testing.assert_array_equal(t.frame[t.masks == 0], [23])
    assert np.isfinite(t.next_observations).all()


def returns_rows(rewards: list, ends: list, masks: list) -> Transitions:
    arrays = {
        "rewards": np.float32(rewards),
        "episode_ends": np.array(ends, bool),
        "masks": np.float32(masks),
    }
    return dataclasses.replace(rows(len(rewards)), **arrays)


def test_mc_returns_by_hand() -> None:
    # A terminated episode 1, 2, 4 and one that was cut, 8, 16; the discount is 1/2.
    t = returns_rows([1, 2, 4, 8, 16], [0, 0, 1, 0, 1], [1, 1, 0, 1, 1])
    # Cut, it goes on with 16: 16 / (1 - 1/2) = 32, before it 8 + 32 / 2.
    np.testing.assert_allclose(t.mc_returns(0.5), [1 + 1 + 1, 2 + 2, 4, 8 + 16, 32])
    np.testing.assert_allclose(t.mc_returns(0.5, endless=False), [3, 4, 4, 8 + 8, 16])
    np.testing.assert_allclose(t.mc_returns(0.0), [1, 2, 4, 8, 16])
    assert t.mc_returns(0.5).dtype == np.float32 and len(rows(0).mc_returns(0.5)) == 0


def test_mc_returns_of_a_failure_without_end() -> None:
    # -1 for ever: -1 / (1 - .99) = -100 from every step, as Cal-QL's code has it.
    t = returns_rows([-1] * 40, [False] * 39 + [True], [1] * 40)
    np.testing.assert_allclose(t.mc_returns(0.99), -100, rtol=1e-6)


def test_mc_returns_end_with_the_data_and_at_terminations_within_episodes() -> None:
    # The last row ends no episode but is the last; the first row terminates although its episode goes on.
    t = returns_rows([1, 2, 4], [0, 0, 0], [0, 1, 1])
    np.testing.assert_allclose(t.mc_returns(0.5), [1, 2 + 4, 8])


def test_mc_returns_are_those_of_a_loop_over_steps() -> None:
    rng = np.random.default_rng(0)
    ends = rng.uniform(size=300) < 0.03
    t = returns_rows(rng.normal(size=300), ends, np.where(ends & (rng.uniform(size=300) < 0.5), 0, 1))
    expected, following = np.zeros(300), 0.0
    for k in range(299, -1, -1):
        if t.episode_ends[k] or k == 299:
            following = t.rewards[k] / 0.05  # what a cut episode goes on with
        following = expected[k] = t.rewards[k] + 0.95 * t.masks[k] * following
    np.testing.assert_allclose(t.mc_returns(0.95), expected, rtol=1e-5, atol=1e-5)


def test_returns_need_a_discount_below_one() -> None:
    with pytest.raises(BadInput, match="discount must be at least 0 and below 1 for returns, not 1"):
        rows(3).mc_returns(1.0)


def test_samples_are_whole_transitions() -> None:
    buffer = ReplayBuffer.from_transitions(rows(10))
    batch = buffer.sample(np.random.default_rng(0), 100)
    assert set(batch.frame.tolist()) == set(range(10))
    f = batch.frame.astype(np.float32)
    np.testing.assert_array_equal(batch.observations, f[:, None] * [1, 2])
    np.testing.assert_array_equal(batch.actions[:, 0], f)
    np.testing.assert_array_equal(batch.rewards, f)
    np.testing.assert_array_equal(batch.next_observations, f[:, None] + [1, 1])
    assert batch.observations.dtype == batch.rewards.dtype == np.float32
    again = buffer.sample(np.random.default_rng(0), 100)
    np.testing.assert_array_equal(again.frame, batch.frame)


def test_a_full_buffer_overwrites_the_oldest() -> None:
    buffer = ReplayBuffer.from_transitions(rows(4), capacity=5)
    assert len(buffer) == 4
    for step in (4, 5):
        buffer.add([step, 2 * step], [step], step, 1.0, [step + 1, step + 1], episode_end=step == 5)
    assert len(buffer) == buffer.capacity == 5
    stored = buffer.all()
    np.testing.assert_array_equal(stored.rewards, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(stored.frame, [1, 2, 3, -1, -1])
    np.testing.assert_array_equal(stored.episode_ends, [False] * 4 + [True])
    buffer.extend(rows(12, 100))
    np.testing.assert_array_equal(buffer.all().rewards, [107, 108, 109, 110, 111])


def test_what_does_not_fit_is_refused() -> None:
    buffer = ReplayBuffer(2, 1, 3)
    with pytest.raises(BadInput, match="empty"):
        buffer.sample(np.random.default_rng(0), 1)
    with pytest.raises(BadInput, match="sizes"):
        buffer.add([1.0], [0.0], 0.0, 1.0, [1.0])
    with pytest.raises(BadInput, match="not finite"):
        buffer.add([1.0, 2.0], [0.0], np.nan, 1.0, [1.0, 2.0])
    with pytest.raises(BadInput, match="capacity"):
        ReplayBuffer(2, 1, 0)
