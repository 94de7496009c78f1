"""Which episodes a filter keeps and a split parts, on episodes whose numbers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rl.data.edit import Criteria, choose_episodes, split_episodes
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_episode, make_writer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Five episodes of 10 to 14 steps; rewards of 0 to 4 a step; 1 and 3 succeed; 2 never moves."""
    path = tmp_path_factory.mktemp("choose") / "d"
    writer = make_writer(path)
    for index in range(5):
        episode = make_episode(index, steps=10 + index)
        length = len(episode)
        if index == 2:
            episode.observations["state"][:] = episode.observations["state"][0]
        episode = replace(
            episode,
            rewards=np.full(length, index, np.float32),
            success=np.full(length, index in (1, 3)),
            task="fold" if index == 4 else "wipe",
        )
        writer.write(index, episode)
    writer.close()
    return Dataset.open(path)


@pytest.mark.parametrize(
    ("criteria", "kept", "removed"),
    [
        (Criteria(success=True), [1, 3], {"success": 3}),
        (Criteria(success=False), [0, 2, 4], {"success": 2}),
        (Criteria(min_steps=11, max_steps=13), [1, 2, 3], {"min steps": 1, "max steps": 1}),
        (Criteria(min_return=24, max_return=39), [2, 3], {"min return": 2, "max return": 1}),
        (Criteria(task="fold"), [4], {"task": 4}),
        (Criteria(episodes=[0, 4]), [0, 4], {"episodes": 3}),
        (Criteria(without=["still"]), [0, 1, 3, 4], {"without still": 1}),
        (Criteria(without=["dark", "nan"]), [0, 1, 2, 3, 4], {"without dark": 0, "without nan": 0}),
        (Criteria(success=True, max_steps=12), [1], {"success": 3, "max steps": 2}),
    ],
)
def test_filter(dataset: Dataset, criteria: Criteria, kept: list[int], removed: dict[str, int]) -> None:
    assert choose_episodes(dataset, criteria) == (kept, removed)


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        (Criteria(), "no criterion is given"),
        (Criteria(min_steps=99), "none of the 5 episodes .* is left: min steps removes 5"),
        (Criteria(task="flod"), "has no task 'flod'. Did you mean 'fold'"),
        (Criteria(without=["stukc"]), "no finding 'stukc'. Did you mean 'stuck'"),
    ],
)
def test_what_cannot_be_chosen_is_named(dataset: Dataset, criteria: Criteria, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        choose_episodes(dataset, criteria)


def test_split() -> None:
    first, second = split_episodes(10, 0.7, seed=1)
    assert len(first) == 7 and sorted(first + second) == list(range(10)) and first == sorted(first)
    assert split_episodes(10, 0.7, seed=1) == (first, second) != split_episodes(10, 0.7, seed=2)
    assert [len(part) for part in split_episodes(3, 0.99, 0)] == [2, 1]
    for episodes, fraction in ((10, 1.0), (10, 0.0), (1, 0.5)):
        with pytest.raises(BadInput, match="split: "):
            split_episodes(episodes, fraction, 0)
