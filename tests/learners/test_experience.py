"""The growing table, by hand, and its record on disk."""

import dataclasses

import numpy as np
import pytest
import torch

from robot_rl.errors import BadInput
from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.experience import Experience, Record, Transition, gather


def step(k: int, **end: bool) -> Transition:
    """Step k: state (k, -k), action 10 k, reward 2^k, next state (k + 1, -k - 1)."""
    return Transition(np.float32([k, -k]), np.float32([10 * k]), 2.0**k, np.float32([k + 1, -k - 1]), **end)


def fill(steps, capacity=10, **settings) -> Experience:
    experience = Experience(2, 1, capacity, **settings)
    for one in steps:
        experience.add(one)
    return experience


def everything(experience):
    return experience.rows(torch.arange(len(experience)))


def test_rows_are_those_of_the_transition_table():
    steps = [step(0), step(1, terminated=True), step(2), step(3, truncated=True)]
    mine, theirs = everything(fill(steps)), TransitionTable(gather(steps)).rows(torch.arange(4))
    for name in ("observations", "actions", "observations_actions", "rewards", "masks", "next_observations"):
        assert torch.equal(getattr(mine, name), getattr(theirs, name)), name
    assert mine.masks.tolist() == [1, 0, 1, 1]  # a cut bootstraps from the real next observation
    assert mine.next_observations[3].tolist() == [4, -4] and mine.mc_returns is None


def test_two_steps_wait_for_the_next_one_or_the_end():
    experience = fill([step(0)], n=2, discount=0.5)
    assert len(experience) == 0
    experience.add(step(1))
    assert len(experience) == 1
    experience.add(step(2, truncated=True))
    experience.add(step(3))
    batch = everything(experience)
    # 1 + .5 * 2, 2 + .5 * 4, and 4 alone as nothing is known beyond the cut
    assert batch.rewards.tolist() == [2, 4, 4] and batch.masks.tolist() == [0.5, 0.5, 1]
    assert batch.next_observations[:, 0].tolist() == [2, 3, 3]


def test_two_steps_into_a_termination():
    batch = everything(fill([step(0), step(1, terminated=True)], n=2, discount=0.5))
    assert batch.rewards.tolist() == [2, 2] and batch.masks.tolist() == [0, 0]


def test_returns_wait_for_the_end_of_the_episode():
    experience = fill([step(0), step(1)], discount=0.5, returns=True)
    assert len(experience) == 0
    experience.add(step(2, terminated=True))
    # 4; 2 + .5 * 4 = 4; 1 + .5 * 4 = 3
    assert everything(experience).mc_returns.tolist() == [3, 4, 4]


def test_the_oldest_are_overwritten():
    experience = fill([step(k) for k in range(5)], capacity=3)
    assert len(experience) == 3
    assert everything(experience).rewards.tolist() == [8, 16, 4]


def test_an_episode_longer_than_the_ring_leaves_its_end():
    steps = [step(k, truncated=k == 4) for k in range(5)]
    assert sorted(everything(fill(steps, capacity=3, returns=True)).rewards.tolist()) == [4, 8, 16]


def test_sampling_goes_by_the_generator_and_needs_something():
    experience = fill([step(k) for k in range(8)])
    draws = [experience.sample(16, torch.Generator().manual_seed(s)).rewards for s in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    with pytest.raises(BadInput, match="no online experience yet"):
        fill([]).sample(1, torch.Generator())
    with pytest.raises(BadInput, match="capacity is 0"):
        fill([], capacity=0)


def written(folder, count=5) -> list[Transition]:
    """Write `count` steps in parts of two and what is left, the third a termination, the last a cut."""
    record = Record(folder)
    steps = [step(k, terminated=k == 2, truncated=k == count - 1) for k in range(count)]
    for k, one in enumerate(steps):
        record.add(one)
        if k % 2 == 1:
            record.save()
    record.save()
    return steps


def test_the_record_gives_back_what_came(tmp_path):
    steps, record = written(tmp_path), Record(tmp_path)
    found = list(record.load(5))
    for a, b in zip(steps, found, strict=True):
        for name, value in dataclasses.asdict(a).items():
            assert np.array_equal(value, getattr(b, name)), name
    assert record.saved == 5 and len(list(tmp_path.iterdir())) == 3


def test_parts_beyond_the_state_are_forgotten(tmp_path):
    written(tmp_path)
    record = Record(tmp_path)
    assert len(list(record.load(4))) == 4
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "part-000000000.safetensors",
        "part-000000002.safetensors",
    ]


def test_missing_and_damaged_parts_are_named(tmp_path):
    written(tmp_path)
    with pytest.raises(BadInput, match="holds 5 transitions, the run's state speaks of 6"):
        list(Record(tmp_path).load(6))
    (tmp_path / "part-000000002.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match="part-000000002.safetensors is damaged"):
        list(Record(tmp_path).load(5))
