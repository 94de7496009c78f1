"""The success classifier: what it learns, what it promises, how it counts frames, and its folder."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from robot_rl.errors import BadInput
from robot_rl.rewards.model import RewardConfig, RewardModel
from robot_rl.rewards.success import SuccessClassifier, SuccessConfig

FAST = SuccessConfig(updates=400, members=2, hidden=(8,))


class Brightness:
    """An encoder whose two features are a picture's mean and that of its first row, in [0, 1]."""

    identity = {"kind": "test", "model": "brightness", "weights": "0"}

    def images(self, pictures):
        parts = [pictures.mean((1, 2, 3)), pictures[:, 0].mean((1, 2))]
        return np.stack(parts, 1).astype(np.float32) / 255


def by_hand(strip=1, hold=1, stride=1, threshold=0.5):
    """z = 2 x0 - x1 + 0.5 on the strip's oldest number x0 and the next one x1, P = sigmoid(2 z - 1)."""
    size = 2 * strip
    weight = torch.zeros(1, size, 1)
    weight[0, 0, 0], weight[0, 1, 0] = 2.0, -1.0
    config = SuccessConfig(members=1, hidden=(), strip=strip, hold=hold, stride=stride)
    moments = np.zeros(size, np.float32), np.ones(size, np.float32)
    heads = {"weight_0": weight}
    shift, scale = np.array([-0.5], np.float32), np.array([1.0], np.float32)
    return SuccessClassifier(
        config, heads, *moments, shift, scale, 2.0, -1.0, threshold, encoder=Brightness()
    )


def shade(value):
    return np.full((4, 4, 3), value, np.uint8)


def frames(seed, episodes=6, steps=40):
    """Features (N, 3) of which the first decides, truth and episodes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(episodes * steps, 3)).astype(np.float32)
    return x, x[:, 0] > 0.3, np.repeat(np.arange(episodes), steps)


def test_probability_by_hand():
    # A picture of 51 is x = (0.2, 0.2): z = 0.4 - 0.2 + 0.5 = 0.7, P = sigmoid(0.4).
    assert by_hand().probability(shade(51)[None]) == pytest.approx([1 / (1 + np.exp(-0.4))])
    assert by_hand().probability(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0,)


def test_the_mean_of_the_members_is_calibrated():
    both = dataclasses.replace(
        by_hand(),
        weights={"weight_0": torch.tensor([[[1.0], [0.0]], [[0.0], [4.0]]])},
        shift=np.array([1.0, 2.0], np.float32),
        scale=np.array([2.0, 0.5], np.float32),
    )
    # x = (3, 1): ((3 - 1) * 2 + (4 - 2) * 0.5) / 2 = 2.5
    assert both.scores(np.array([[3.0, 1.0]], np.float32)) == pytest.approx([2.5])


def test_a_strip_is_its_frames_from_the_oldest_on():
    looks = by_hand(strip=2)
    # x0 and x1 are both of the oldest frame here, so the newest one changes nothing and the oldest does.
    same = looks.probability(np.stack([[shade(51), shade(0)], [shade(51), shade(255)]]))
    assert same == pytest.approx([1 / (1 + np.exp(-0.4))] * 2)
    assert looks.probability(shade(51)[None]) == pytest.approx(same[:1])  # alone: nothing moves


def test_a_detector_wants_hold_frames_in_a_row():
    # P >= 0.5 where z >= 0.5, that is from a brightness of 0 on; 0.6 asks for z >= 0.7027, 52 and more.
    detect = by_hand(hold=2, threshold=0.6).detector()
    assert [detect(shade(v)) for v in (60, 0, 60, 60, 60, 0)] == [False, False, False, True, True, False]
    detect(shade(60))
    detect.reset()
    assert detect(shade(60)) is False and detect.probability > 0.6


def test_a_detector_sees_the_strip_that_probability_sees():
    looks = by_hand(strip=2, stride=2)
    detect, values = looks.detector(), (10, 60, 110, 160, 210)
    said = []
    for value in values:
        detect(shade(value))
        said.append(detect.probability)
    # Two steps back; the first picture stands in for what was before it.
    oldest = np.stack([[shade(values[max(t - 2, 0)]), shade(values[t])] for t in range(5)])
    assert said == pytest.approx(looks.probability(oldest).tolist())


def test_it_learns_from_few_frames_and_keeps_its_promise():
    x, truth, _ = frames(0)
    held, held_truth, episodes = frames(1)
    made = SuccessClassifier.fit(x[:100], truth[:100].astype(float), FAST, unlabeled=x)
    made = made.calibrated(held, held_truth, episodes)
    said = made.chance(held) >= made.threshold
    assert (said & ~held_truth).sum() / (~held_truth).sum() <= 0.05
    assert (~said & held_truth).sum() / held_truth.sum() <= 0.15
    fresh, fresh_truth, _ = frames(2)
    assert ((made.chance(fresh) >= made.threshold) == fresh_truth).mean() > 0.9


def test_labels_of_one_kind_and_rates_out_of_reach_are_refused():
    x, truth, episodes = frames(0)
    with pytest.raises(BadInput, match="none of the 240 labeled frames says 'success'"):
        SuccessClassifier.fit(x, np.zeros(len(x)), FAST)
    made = SuccessClassifier.fit(x, truth.astype(float), FAST)
    with pytest.raises(BadInput, match="cannot show a rate of 0.05"):
        made.calibrated(x[:60], truth[:60], episodes[:60])


def test_a_reward_model_becomes_a_classifier_of_its_mean():
    x, _, _ = frames(0)
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, len(x), (200, 2))
    p = (x[pairs[:, 1], 0] > x[pairs[:, 0], 0]).astype(float)
    model = RewardModel.fit(x, pairs, p, RewardConfig(epochs=1, hidden=(8,)))
    made = SuccessClassifier.from_reward(model)
    assert made.scores(x) == pytest.approx(model.reward(x)[0], abs=1e-5)


def test_it_comes_back_exactly(tmp_path):
    x, truth, episodes = frames(0)
    made = SuccessClassifier.fit(x, truth.astype(float), FAST).calibrated(*frames(1))
    made = dataclasses.replace(made, about={"source": "column"})
    made.save(tmp_path / "success", Brightness.identity)
    back = SuccessClassifier.load(tmp_path / "success", None)
    np.testing.assert_array_equal(back.chance(x), made.chance(x))
    assert (back.threshold, back.config, back.about) == (made.threshold, made.config, made.about)


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    by_hand().save(tmp_path, Brightness.identity)

    class Other(Brightness):
        identity = {**Brightness.identity, "weights": "1"}

    with pytest.raises(BadInput, match="identity.weights is '0'"):
        SuccessClassifier.load(tmp_path, Other())
    with pytest.raises(BadInput, match="is not a success classifier's folder"):
        SuccessClassifier.load(tmp_path / "nothing")
    content = json.loads((tmp_path / "success.json").read_text())
    for change, told in (
        ({"threshold": "high"}, "threshold is missing or of a wrong type"),
        ({"config": {**content["config"], "holt": 3}}, "config.holt: unknown field. Did you mean 'hold'"),
        ({"config": {**content["config"], "hold": 0}}, "hold must be a whole number"),
        ({"features": 3}, "'feature_mean' is"),
        ({"format_version": 9}, "upgrade robot-rl"),
    ):
        (tmp_path / "success.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(BadInput, match=told):
            SuccessClassifier.load(tmp_path)


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(BadInput, match="must be uint8"):
        by_hand().probability(np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(BadInput, match="strips of 3"):
        by_hand(strip=2).probability(np.zeros((1, 3, 4, 4, 3), np.uint8))
    with pytest.raises(BadInput, match="no encoder"):
        dataclasses.replace(by_hand(), encoder=None).probability(shade(1)[None])


@pytest.mark.parametrize(
    ("field", "value"), [("hold", 0), ("strip", 0), ("false_positives", 0.0), ("false_positives", 0.6)]
)
def test_settings_that_cannot_be_used_name_the_field(field, value):
    with pytest.raises(BadInput, match=f"success: {field} must be"):
        SuccessConfig(**{field: value})
