"""Resampling by hand: six steps at 10 Hz to 5 Hz, four steps to 15 Hz, and uneven rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rl.data.edit import resample_episode
from robot_rl.data.episode import Episode, validate_episode
from robot_rl.errors import BadInput


def episode(steps: int, final: bool = True, fps: float = 10.0) -> Episode:
    """States 0, 10, 20, ..., actions and rewards 1, 2, 3, ..., a picture whose pixels are the step."""
    count = np.arange(steps)
    pictures = np.repeat(count.astype(np.uint8), 48).reshape(steps, 4, 4, 3)
    return Episode(
        {"state": 10 * count[:, None].astype(np.float32), "image.front": pictures},
        (1 + count)[:, None].astype(np.float32),
        "t",
        fps,
        (1 + count).astype(np.float32),
        count == 2,
        True,
        {"state": np.array([10 * steps], np.float32)} if final else None,
        {"l": count.astype(np.float32)},
    )


def shown(new: Episode) -> list[int]:
    return np.asarray(new.observations["image.front"])[:, 0, 0, 0].tolist()


def test_half_the_rate() -> None:
    new = resample_episode(episode(6), 5.0)
    validate_episode(new, "new")
    assert new.fps == 5.0 and new.terminated
    np.testing.assert_array_equal(new.observations["state"], [[0], [20], [40]])
    np.testing.assert_array_equal(new.actions, [[2], [4], [6]])
    np.testing.assert_array_equal(new.rewards, [3, 7, 11])
    np.testing.assert_array_equal(new.success, [False, True, False])
    np.testing.assert_array_equal(new.labels["l"], [0, 2, 4])
    assert shown(new) == [0, 2, 4]
    np.testing.assert_array_equal(new.final_observation["state"], [60])


@pytest.mark.parametrize(
    ("how", "actions"), [("last", [2, 4, 6]), ("mean", [1.5, 3.5, 5.5]), ("sum", [3, 7, 11])]
)
def test_actions(how: str, actions: list[float]) -> None:
    np.testing.assert_array_equal(resample_episode(episode(6), 5.0, actions=how).actions[:, 0], actions)


def test_a_step_that_is_left_over() -> None:
    new = resample_episode(episode(5), 5.0)
    np.testing.assert_array_equal(new.actions[:, 0], [2, 4, 5])
    np.testing.assert_array_equal(new.rewards, [3, 7, 5])
    np.testing.assert_array_equal(new.final_observation["state"], [50])


def test_one_and_a_half_times_the_rate() -> None:
    # New steps begin at 0, 2/3, 4/3, 2, 8/3, 10/3 of the source's; the third and the sixth begin none.
    new = resample_episode(episode(4), 15.0)
    np.testing.assert_allclose(
        new.observations["state"][:, 0], [0, 20 / 3, 40 / 3, 20, 80 / 3, 100 / 3], 1e-6
    )
    np.testing.assert_array_equal(new.actions[:, 0], [1, 2, 2, 3, 4, 4])
    np.testing.assert_array_equal(new.rewards, [1, 2, 0, 3, 4, 0])
    np.testing.assert_array_equal(new.success, [False, False, False, True, False, False])
    assert shown(new) == [0, 1, 1, 2, 3, 3]
    moved = resample_episode(episode(4), 15.0, actions="sum").actions[:, 0]
    np.testing.assert_array_equal(moved, [1, 1, 1, 3, 2, 2])
    held = resample_episode(episode(4), 15.0, states="last").observations["state"][:, 0]
    np.testing.assert_array_equal(held, [0, 0, 10, 20, 20, 30])


def test_without_a_final_observation_the_last_state_holds() -> None:
    new = resample_episode(episode(4, final=False), 15.0)
    np.testing.assert_allclose(new.observations["state"][-1], [30])
    assert new.final_observation is None


@pytest.mark.parametrize(
    ("fps", "rate"), [(10.0, 3.0), (30.0, 29.97), (80.0, 50.0), (10.0, 70.0), (1 / 3, 1.0)]
)
def test_returns_and_displacements_stay(fps: float, rate: float) -> None:
    old = episode(101, fps=fps)
    new = resample_episode(old, rate, actions="sum")
    assert len(new) == int(np.ceil(round(101 * rate / fps, 6)))
    np.testing.assert_allclose(new.rewards.sum(), old.rewards.sum(), rtol=1e-6)
    np.testing.assert_allclose(new.actions.sum(), old.actions.sum(), rtol=1e-5)
    np.testing.assert_allclose(
        new.observations["state"][:, 0], 10 * np.arange(len(new)) * fps / rate, rtol=1e-4
    )


def test_bad_choices() -> None:
    with pytest.raises(BadInput, match="here: its 6 steps at 10 Hz are 1 at 1 Hz"):
        resample_episode(episode(6), 1.0, where="here")
    with pytest.raises(BadInput, match="actions: 'first' is no way"):
        resample_episode(episode(6), 5.0, actions="first")
    assert resample_episode(replace(episode(6), rewards=None, success=None), 5.0).rewards is None
