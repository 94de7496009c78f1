"""What d3rlpy dumps comes in, and what we export d3rlpy loads; d3rlpy itself does both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.exporters import export_dataset
from robot_rl.data.importers import import_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import write_tiny


@pytest.fixture
def d3rlpy():
    """The library, where it is installed."""
    pytest.importorskip("d3rlpy")
    from robot_rl.learners.d3rlpy_adapter import import_d3rlpy

    return import_d3rlpy()


def test_a_dump_comes_in(d3rlpy, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    states, actions = (
        rng.normal(size=(9, 3)).astype(np.float32),
        rng.uniform(-1, 1, (9, 2)).astype(np.float32),
    )
    rewards = np.arange(9, dtype=np.float32)
    terminals, timeouts = np.zeros(9), np.zeros(9)
    terminals[3], timeouts[8] = 1, 1
    buffer = d3rlpy.dataset.ReplayBuffer(
        d3rlpy.dataset.InfiniteBuffer(),
        episodes=d3rlpy.dataset.EpisodeGenerator(states, actions, rewards, terminals, timeouts)(),
    )
    with (tmp_path / "s.h5").open("w+b") as file:
        buffer.dump(file)
    report = import_dataset(tmp_path / "s.h5", tmp_path / "d", task="x", fps=5)
    assert (report.format, report.episodes, report.fps) == ("d3rlpy", 2, 5.0)
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.terminated.tolist() == [True, False]
    assert dataset.lengths.tolist() == [4, 4]  # the last step of the second led to nothing known
    np.testing.assert_array_equal(dataset.column("observation.state"), states[:8])
    np.testing.assert_array_equal(dataset.column("action"), actions[:8])
    np.testing.assert_array_equal(dataset.episode(1).final_observation["state"], states[8])


def test_d3rlpy_loads_an_export_with_the_same_transitions(d3rlpy, tmp_path: Path) -> None:
    dataset = write_tiny(tmp_path / "tiny", 3)
    export_dataset(dataset, tmp_path / "out.h5", "d3rlpy")
    with (tmp_path / "out.h5").open("rb") as file:
        buffer = d3rlpy.dataset.ReplayBuffer.load(file, d3rlpy.dataset.InfiniteBuffer())
    from robot_rl.data.replay import transitions_from_dataset

    ours = transitions_from_dataset(dataset)
    assert buffer.transition_count == len(ours) == 36
    first = buffer.episodes[0]
    np.testing.assert_array_equal(first.observations[:12], ours.observations[:12])
    np.testing.assert_array_equal(first.observations[12], ours.next_observations[11])
    assert [bool(e.terminated) for e in buffer.episodes] == [False, True, False]


def test_a_round_trip_keeps_every_array(tmp_path: Path) -> None:
    dataset = write_tiny(tmp_path / "tiny", 3)
    export_dataset(dataset, tmp_path / "out.h5", "d3rlpy")
    import_dataset(tmp_path / "out.h5", tmp_path / "back", task="x", fps=10)
    back = Dataset.open(tmp_path / "back")
    for name in ("observation.state", "action", "next.reward"):
        np.testing.assert_array_equal(back.column(name), dataset.column(name))
    np.testing.assert_array_equal(back.terminated, dataset.terminated)
    # Of a terminated episode the format has no place for what followed.
    np.testing.assert_array_equal(back.final_states()[[0, 2]], dataset.final_states()[[0, 2]])


def test_the_task_has_to_be_given(tmp_path: Path) -> None:
    export_dataset(write_tiny(tmp_path / "tiny", 1), tmp_path / "out.h5", "d3rlpy")
    with pytest.raises(BadInput, match="d3rlpy buffer has no task text"):
        import_dataset(tmp_path / "out.h5", tmp_path / "back")
