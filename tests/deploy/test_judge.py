"""What reward model and success classifier say is passed on; latency is that from picture to verdict."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.cli.reward import picture_reward
from robot_rl.deploy.judge import Judge, Judged, judges
from robot_rl.errors import BadInput


def brightness(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = pictures.mean((1, 2, 3), dtype=np.float64) / 100
    return mean, np.full(len(mean), 0.25)


def shade(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


def test_reward_and_spread_are_passed_on():
    assert Judge(brightness)(shade(50)) == Judged(0.5, 0.25)


class Second:
    """Says success from the second picture on."""

    probability, count = float("nan"), 0

    def __call__(self, picture):
        self.count, self.probability = self.count + 1, float(picture.mean()) / 100
        return self.count >= 2

    def reset(self):
        self.count = 0


def test_success_is_by_the_classifiers_own_rule():
    judge = Judge(brightness, Second())
    assert judge(shade(50)) == Judged(0.5, 0.25, False, 0.5)
    assert judge(shade(60)).success is True
    judge.reset()
    assert judge(shade(60)).success is False
    assert Judge(success=Second())(shade(70)) == Judged(None, None, False, 0.7)


def test_each_task_has_its_own_classifier_and_one_reward_serves_both():
    forward, backward = judges([brightness], [Second(), Second()])
    assert forward(shade(50)).success is False and forward(shade(50)) == Judged(0.5, 0.25, True, 0.5)
    assert backward(shade(50)) == Judged(0.5, 0.25, False, 0.5)  # its own pictures count
    with pytest.raises(BadInput, match="model: 2 folders are given, but 3 tasks are judged"):
        judges([brightness] * 2, [Second()] * 3)


def test_latency():
    judge = Judge(brightness)
    assert judge.summary() == {}
    for late in (0.01, 0.02, 0.03):
        judge.said(5.0, 5.0 + late)
    assert judge.summary() == {"latency": "20 ms (p99 30 ms)"}


def test_a_folder_without_a_reward_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no labeling with a reward model"):
        picture_reward(tmp_path)
    with pytest.raises(BadInput, match="model, success: give"):
        Judge()
