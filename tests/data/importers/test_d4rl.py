"""D4RL files come in whole, cut into episodes, and what is broken in them is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from robot_rl.data.importers import import_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.data.real import real

STEPS = 12


def arrays() -> dict[str, np.ndarray | None]:
    """Episodes of 5, 4 and 3 steps: a timeout, a termination, and one cut off by the end of the file."""
    rng = np.random.default_rng(0)
    timeouts, terminals = np.zeros(STEPS, bool), np.zeros(STEPS, bool)
    timeouts[4] = terminals[8] = True
    return {
        "observations": rng.normal(size=(STEPS, 3)),
        "actions": rng.uniform(-1, 1, (STEPS, 2)).astype(np.float32),
        "rewards": np.arange(STEPS, dtype=np.float32),
        "terminals": terminals,
        "timeouts": timeouts,
        "next_observations": rng.normal(size=(STEPS, 3)).astype(np.float32),
        "infos/goal_distance": np.linspace(1, 0, STEPS),
        "infos/qpos": rng.normal(size=(STEPS, 4)),
        "infos/init_state/door": rng.normal(size=(3, 2)),
    }


def write(path: Path, **changes: np.ndarray | None) -> Path:
    with h5py.File(path, "w") as file:
        for key, value in {**arrays(), **{k.replace("__", "/"): v for k, v in changes.items()}}.items():
            if value is not None:
                file[key] = value
    return path


def test_everything_comes_in(tmp_path: Path) -> None:
    values = arrays()
    actions = values["actions"].copy()
    actions[2, 1] = 1.5
    source = write(tmp_path / "s.hdf5", actions=actions, infos__odd=np.zeros(7), extra=np.zeros(2))
    report = import_dataset(source, tmp_path / "d", task="open the door")
    assert (report.format, report.episodes, report.frames, report.fps) == ("d4rl", 3, 12, 10.0)
    notes = " | ".join(report.notes)
    for words in ("10 Hz is assumed", "1 of 24 action values", "1.5", "cut off", "infos/odd", "over: extra"):
        assert words in notes
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.lengths.tolist() == [5, 4, 3]
    assert dataset.terminated.tolist() == [False, True, False]
    np.testing.assert_array_equal(dataset.column("action"), actions)
    states = values["observations"].astype(np.float32)
    np.testing.assert_array_equal(dataset.column("observation.state"), states)
    np.testing.assert_array_equal(dataset.final_states(), values["next_observations"][[4, 8, 11]])
    assert dataset.info.labels == ("infos.goal_distance",)
    qpos = dataset.episode(2).observations["infos.qpos"]
    np.testing.assert_allclose(qpos, values["infos/qpos"][9:], rtol=1e-6)
    assert dataset.episode(1).metadata["infos/init_state/door"] == values["infos/init_state/door"][1].tolist()
    assert dataset.episode(1).task == "open the door"


def test_a_given_rate_is_kept(tmp_path: Path) -> None:
    report = import_dataset(write(tmp_path / "s.hdf5"), tmp_path / "d", task="x", fps=25, episodes=1)
    assert (report.fps, report.episodes) == (25.0, 1)
    assert not any("assumed" in note for note in report.notes)


ROW = np.ones(STEPS, np.float32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rewards": None}, "no array 'rewards'"),
        ({"timeouts": None}, "no array 'timeouts'"),
        ({"actions": np.zeros((STEPS - 1, 2))}, r"'actions' has the shape \(11, 2\)"),
        ({"observations": ROW}, "'observations'.*2 axes"),
        ({"rewards": np.ones((STEPS, 1))}, "'rewards'.*1 axes"),
        ({"next_observations": np.ones((STEPS, 2))}, "'next_observations'"),
        ({"observations": np.zeros((0, 3))}, "no steps"),
        ({"rewards": np.full(STEPS, b"a")}, "must hold numbers"),
        ({"rewards": np.where(np.arange(STEPS) == 6, np.nan, ROW)}, "episode 1.*rows 5 to 8.*step 1"),
        ({"observations": np.full((STEPS, 3), np.inf)}, "episode 0.*state.*inf at step 0"),
        ({"timeouts": np.arange(STEPS) == 0}, "episode 0.*1 steps.*at least 2"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    source = write(tmp_path / "s.hdf5", **changes)
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d", task="x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.hdf5"]


def test_broken_episodes_can_be_skipped(tmp_path: Path) -> None:
    rewards = np.where(np.arange(STEPS) == 6, np.nan, ROW)
    source = write(tmp_path / "s.hdf5", rewards=rewards)
    report = import_dataset(source, tmp_path / "d", task="x", on_bad="skip")
    assert report.episodes == 2
    assert report.notes[-1].startswith("episode 1 skipped")
    worse = write(tmp_path / "t.hdf5", rewards=ROW * np.nan)
    with pytest.raises(BadInput, match="every episode is broken"):
        import_dataset(worse, tmp_path / "e", task="x", on_bad="skip")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "s.hdf5")
    source.write_bytes(source.read_bytes()[:1500])
    with pytest.raises(BadInput, match="s.hdf5"):
        import_dataset(source, tmp_path / "d", task="x")


def test_usage(tmp_path: Path) -> None:
    source = write(tmp_path / "s.hdf5")
    with pytest.raises(BadInput, match="--task"):
        import_dataset(source, tmp_path / "d")
    with pytest.raises(BadInput, match="resize"):
        import_dataset(source, tmp_path / "d", task="x", resize=(32, 32))
    with pytest.raises(BadInput, match="on_bad"):
        import_dataset(source, tmp_path / "d", task="x", on_bad="ignore")


def test_real_door_demonstrations(tmp_path: Path) -> None:
    source = real("door_human/door_human.hdf5")
    report = import_dataset(source, tmp_path / "door", task="open the door")
    assert (report.episodes, report.frames) == (25, 6729)
    assert (report.state_size, report.action_size) == (39, 28)
    assert any("exceed +-1" in note for note in report.notes)
    dataset = Dataset.open(tmp_path / "door")
    with h5py.File(source) as file:
        np.testing.assert_array_equal(dataset.column("action"), file["actions"][:])
        np.testing.assert_array_equal(dataset.column("next.reward"), file["rewards"][:])
        np.testing.assert_array_equal(
            dataset.episode(7).metadata["infos/init_state/qpos"], file["infos/init_state/qpos"][7]
        )
