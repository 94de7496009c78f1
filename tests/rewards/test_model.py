"""A reward model finds a known reward, is repeatable, and refuses what it cannot use."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.report.statistics import expected_calibration_error
from robot_rl.rewards import checks
from robot_rl.rewards.metrics import GapAccuracy, accuracy_by_gap
from robot_rl.rewards.model import RewardConfig, RewardModel
from tests.rewards.synthetic import Labeled, labeled

QUICK = RewardConfig(members=2, hidden=(8,), epochs=1)


def against_truth(score: np.ndarray, data: Labeled) -> GapAccuracy:
    first, second = data.held_out.T
    return accuracy_by_gap(score[second] - score[first], data.true[second] - data.true[first])


@pytest.fixture(scope="module")
def small() -> Labeled:
    return labeled(1, 300, 0.1)


def test_it_recovers_a_linear_reward_from_clean_pairs() -> None:
    data = labeled(0, 6000, 0.0, size=8)
    model = RewardModel.fit(data.features, data.pairs, data.p, RewardConfig())
    mean, std = model.reward(data.features)
    assert against_truth(mean, data).overall > 0.98
    assert (model.noise_rate < 0.02).all()
    assert mean.dtype == std.dtype == np.float32
    assert std.mean() < 0.2


@pytest.mark.parametrize("seed", [0, 1])
def test_it_stands_500_pairs_with_15_percent_flipped(seed: int) -> None:
    data = labeled(seed, 500, 0.15)
    model = RewardModel.fit(data.features, data.pairs, data.p, RewardConfig(seed=seed))
    assert against_truth(model.reward(data.features)[0], data).clear >= 0.95
    assert model.noise_rate.mean() == pytest.approx(0.15, abs=0.07)


def test_it_learns_how_many_labels_are_flipped() -> None:
    data = labeled(3, 4000, 0.15)
    model = RewardModel.fit(data.features, data.pairs, data.p, RewardConfig())
    assert model.noise_rate.mean() == pytest.approx(0.15, abs=0.04)
    truth = (data.true[data.held_out[:, 1]] > data.true[data.held_out[:, 0]]).astype(float)
    flipped = np.where(np.random.default_rng(0).random(len(truth)) < 0.15, 1 - truth, truth)
    q = model.probability(data.features, data.held_out, noise=True)
    agree = (q > 0.5) == (flipped > 0.5)
    assert agree.mean() > 0.78
    assert expected_calibration_error(np.maximum(q, 1 - q), agree) < 0.06


def test_each_member_is_in_standard_deviations(small: Labeled) -> None:
    one = RewardConfig(members=1, epochs=1)
    mean, std = RewardModel.fit(small.features, small.pairs, small.p, one).reward(small.features)
    assert mean.mean() == pytest.approx(0, abs=1e-4)
    assert mean.std() == pytest.approx(1, abs=1e-4)
    assert std.max() == 0


@pytest.mark.parametrize("learn_noise", [True, False])
def test_ties_alone_give_a_flat_reward(small: Labeled, learn_noise: bool) -> None:
    config = RewardConfig(learn_noise=learn_noise)
    model = RewardModel.fit(small.features, small.pairs, np.full(300, 0.5), config)
    mean, std = model.reward(small.features)
    assert (np.ptp(mean), std.max()) == (0, 0)
    assert (model.probability(small.features, small.pairs) == 0.5).all()
    assert model.counts == {"frames": 4000, "pairs": 300, "ties": 300}


def test_swapped_pairs_with_swapped_labels_are_the_same_labels(small: Labeled) -> None:
    model = RewardModel.fit(small.features, small.pairs, small.p, QUICK)
    swapped = RewardModel.fit(small.features, small.pairs[:, ::-1], 1 - small.p, QUICK)
    expected = model.probability(small.features, small.held_out)
    np.testing.assert_allclose(swapped.probability(small.features, small.held_out), expected, atol=1e-3)
    other_way = model.probability(small.features, small.held_out[:, ::-1])
    np.testing.assert_allclose(other_way, 1 - expected, atol=1e-6)


def test_the_noise_brings_probabilities_nearer_to_one_half(small: Labeled) -> None:
    model = RewardModel.fit(small.features, small.pairs, small.p, QUICK)
    model = dataclasses.replace(model, noise_rate=np.full(2, 0.1, np.float32))
    clean = model.probability(small.features, small.held_out)
    noisy = model.probability(small.features, small.held_out, noise=True)
    np.testing.assert_allclose(noisy, 0.8 * clean + 0.1, atol=1e-6)


def test_the_same_seed_gives_the_same_model(small: Labeled) -> None:
    def fitted(seed: int) -> np.ndarray:
        config = dataclasses.replace(QUICK, seed=seed)
        return RewardModel.fit(small.features, small.pairs, small.p, config).reward(small.features)[0]

    np.testing.assert_array_equal(fitted(5), fitted(5))
    assert (fitted(5) != fitted(6)).any()


def test_chunks_make_no_difference(small: Labeled, monkeypatch: pytest.MonkeyPatch) -> None:
    model = RewardModel.fit(small.features, small.pairs, small.p, QUICK)
    whole = model.reward(small.features)
    monkeypatch.setattr(checks, "CHUNK", 999)
    np.testing.assert_allclose(model.reward(small.features), whole, atol=1e-5)


def test_weights_say_which_pairs_count(small: Labeled) -> None:
    pairs = np.concatenate([small.pairs, small.pairs])
    p = np.concatenate([small.p, 1 - small.p])
    trust = np.repeat([3.0, 0.0], 300)
    model = RewardModel.fit(small.features, pairs, p, QUICK, weights=trust)
    clear = against_truth(model.reward(small.features)[0], small).clear
    assert clear > 0.85


@pytest.mark.parametrize("config", [QUICK, RewardConfig(hidden=(), epochs=1, bootstrap=False)])
def test_two_pairs_and_a_number_that_never_changes(config: RewardConfig) -> None:
    features = np.array([[0, 7], [1, 7], [2, 7]], np.float64)
    model = RewardModel.fit(features, [[0, 1], [1, 2]], [1, 1], config)
    mean, _ = model.reward(features)
    assert np.isfinite(mean).all()


def _fit(features=None, pairs=((0, 1), (1, 2)), p=(1.0, 0.0), **options) -> RewardModel:
    features = np.arange(12, dtype=np.float32).reshape(6, 2) if features is None else features
    return RewardModel.fit(features, np.asarray(pairs), np.asarray(p), QUICK, **options)


def _spoiled() -> np.ndarray:
    features = np.zeros((6, 2), np.float32)
    features[4, 1] = np.nan
    return features


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": _spoiled()}, "features: nan at frame 4, number 1"),
        ({"features": np.zeros(6, np.float32)}, r"features: must be floats \(N, F\).*\(6,\)"),
        ({"features": np.zeros((6, 2), np.uint8)}, "must be floats.*uint8"),
        ({"pairs": [[0, 1], [1, 6]]}, r"pair 1 is \[1, 6\]; frames go from 0 to 5"),
        ({"pairs": [[0, 1], [-1, 2]]}, "pair 1 is"),
        ({"pairs": [[0.0, 1.0], [1, 2]]}, "must be integers"),
        ({"pairs": [[0, 1, 2]]}, r"must be integers \(M, 2\)"),
        ({"pairs": [[0, 1]], "p": [1.0]}, "1 labeled pairs, but at least 2"),
        ({"p": [1.0, 1.5]}, "p: 1.5 at index 1.*>= 0 and <= 1"),
        ({"p": [np.nan, 1.0]}, "p: nan at index 0"),
        ({"p": [1.0]}, r"p: must be numbers \(2,\)"),
        ({"p": ["yes", "no"]}, "p: must be numbers"),
        ({"weights": [1.0, -1.0]}, "weights: -1 at index 1"),
        ({"weights": [0.0, 0.0]}, "weights: their mean"),
    ],
)
def test_bad_input_is_named(changes: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        _fit(**changes)
    assert "\n" not in str(caught.value)


def test_features_of_another_encoder_are_refused() -> None:
    with pytest.raises(BadInput, match="have 3 numbers a frame.*fitted on 2"):
        _fit().reward(np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    "change",
    [
        {"members": 0},
        {"hidden": (0,)},
        {"hidden": 64},
        {"epochs": 1.5},
        {"batch_size": True},
        {"learning_rate": 0},
        {"weight_decay": float("nan")},
        {"learn_noise": 1},
        {"seed": -1},
    ],
)
def test_a_config_that_cannot_be_used(change: dict) -> None:
    with pytest.raises(BadInput, match=f"reward config: {next(iter(change))} must be"):
        RewardConfig(**change)


def test_a_strip_is_worth_the_mean_of_its_frames():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5)).astype(np.float32)
    strips = rng.integers(400, size=(1500, 2, 3))
    worth = features[strips, 0].mean(-1)  # (M, 2)
    p = (worth[:, 1] > worth[:, 0]).astype(float)
    model = RewardModel.fit(features, strips[:1200], p[:1200])
    said = model.probability(features, strips[1200:])
    assert ((said > 0.5) == (p[1200:] > 0.5)).mean() > 0.93
    assert np.corrcoef(model.reward(features)[0], features[:, 0])[0, 1] > 0.95


def test_a_strip_of_one_frame_thrice_is_that_frame():
    features = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    pairs = np.random.default_rng(2).integers(50, size=(80, 2))
    p = (features[pairs[:, 1], 0] > features[pairs[:, 0], 0]).astype(float)
    model = RewardModel.fit(features, pairs, p)
    thrice = np.repeat(pairs[:, :, None], 3, 2)
    np.testing.assert_allclose(
        model.probability(features, thrice), model.probability(features, pairs), atol=1e-6
    )
    assert model.probabilities(features, pairs).shape == (model.config.members, 80)
    with pytest.raises(BadInput, match=r"\(M, 2, S\)"):
        model.probability(features, pairs[:, :, None][:, :, :0])
