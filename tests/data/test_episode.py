"""Each rule of an episode is checked and named when broken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robot_rl.data.episode import Frames, validate_episode
from robot_rl.errors import BadInput
from tests.conftest import make_episode


def with_nan(array: np.ndarray, *index: int) -> np.ndarray:
    broken = array.copy()
    broken[index] = np.nan
    return broken


GOOD = make_episode(0)
STATE, FRONT = GOOD.observations["state"], GOOD.observations["image.front"]


def seen(**changes: np.ndarray) -> dict:
    return {"observations": {**GOOD.observations, **{k.replace("__", "."): v for k, v in changes.items()}}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actions": GOOD.actions[:1]}, ["1 steps", "at least 2"]),
        ({"actions": GOOD.actions[:0]}, ["0 steps", "at least 2"]),
        ({"actions": GOOD.actions[:, 0]}, ["actions", "(T, A)"]),
        ({"actions": GOOD.actions.astype(float)}, ["actions", "float64", "float32"]),
        ({"actions": with_nan(GOOD.actions, 3, 2)}, ["actions", "step 3, element 2", "finite"]),
        ({"observations": {"image.front": FRONT}}, ["no 'state'"]),
        (seen(state=STATE[:-1]), ["observations['state']", "11 steps", "12"]),
        (seen(state=with_nan(STATE, 5, 0)), ["observations['state']", "step 5, element 0"]),
        (seen(state=STATE.astype(int)), ["observations['state']", "int64"]),
        (seen(image__front=FRONT[:, :, :, :1]), ["image.front", "(T, H, W, 3)"]),
        (seen(image__front=FRONT.astype(np.float32)), ["image.front", "uint8"]),
        (seen(image__front=FRONT[:5]), ["image.front", "5 steps"]),
        ({"rewards": with_nan(GOOD.rewards, 7)}, ["rewards", "step 7"]),
        ({"rewards": GOOD.rewards[:, None]}, ["rewards", "1 axes"]),
        ({"success": GOOD.rewards}, ["success", "bool"]),
        ({"labels": {"reward.mean": GOOD.rewards[:4]}}, ["labels['reward.mean']", "4 steps"]),
        ({"fps": 0.0}, ["fps", "positive"]),
        ({"task": " "}, ["task", "words"]),
        ({"final_observation": {"state": STATE[0, :3]}}, ["final_observation['state']", "(3,)"]),
        ({"final_observation": {"other": STATE[0]}}, ["final_observation['other']"]),
    ],
)
def test_broken_episodes_are_refused_by_name(changes: dict, words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        validate_episode(dataclasses.replace(GOOD, **changes), "episode 9")
    assert str(caught.value).startswith("episode 9")
    for word in words:
        assert word in str(caught.value)


def test_a_good_episode_passes() -> None:
    validate_episode(GOOD, "episode 0")
    assert len(GOOD) == 12
    assert GOOD.cameras == ["front"]


class Counted(Frames):
    """Frames whose pixels hold their number."""

    shape = (5, 2, 2, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.broadcast_to(indices[:, None, None, None], (len(indices), 2, 2, 3)).astype(np.uint8)


def test_frames_index_like_an_array() -> None:
    frames, array = Counted(), np.asarray(Counted())
    mask = np.array([True, False, True, False, False])
    for key in (0, -1, slice(1, 4), slice(None, None, -2), np.array([3, 0, 3]), mask):
        np.testing.assert_array_equal(frames[key], array[key])
    with pytest.raises(IndexError, match="outside"):
        frames[5]
