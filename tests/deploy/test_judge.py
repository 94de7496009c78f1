"""Success needs several pictures in a row; latency is that from picture to reward."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.cli.reward import picture_reward
from robot_rl.deploy.judge import Judge, Judged
from robot_rl.errors import BadInput


def brightness(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = pictures.mean((1, 2, 3), dtype=np.float64) / 100
    return mean, np.full(len(mean), 0.25)


def shade(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


def test_reward_and_spread_are_passed_on():
    assert Judge(brightness)(shade(50)) == Judged(0.5, 0.25, None)


def test_success_needs_the_threshold_in_a_row():
    judge = Judge(brightness, threshold=1.0, hold=2)
    said = [judge(shade(value)).success for value in (100, 99, 100, 200, 100, 0)]
    assert said == [False, False, False, True, True, False]
    judge(shade(100))
    judge.reset()
    assert judge(shade(100)).success is False


def test_latency():
    judge = Judge(brightness)
    assert judge.summary() == {}
    for late in (0.01, 0.02, 0.03):
        judge.said(5.0, 5.0 + late)
    assert judge.summary() == {"latency": "20 ms (p99 30 ms)"}


def test_a_folder_without_a_reward_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no labeling with a reward model"):
        picture_reward(tmp_path)
    with pytest.raises(BadInput, match="at least 1 picture"):
        Judge(brightness, hold=0)
