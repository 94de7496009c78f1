"""A saved model comes back exactly; a damaged, newer or foreign one is refused by field."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from robot_rl.errors import BadInput
from robot_rl.rewards import storage
from robot_rl.rewards.model import RewardConfig, RewardModel
from tests.rewards.synthetic import labeled

IDENTITY = {"encoder": "vit", "weights": "abc", "size": (64, 64)}
DATA = labeled(2, 200, 0.0, frames=500)


@pytest.fixture(scope="module")
def model() -> RewardModel:
    return RewardModel.fit(
        DATA.features, DATA.pairs, DATA.p, RewardConfig(members=2, hidden=(8, 4), epochs=1)
    )


@pytest.fixture
def saved(model: RewardModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "runs" / "reward", IDENTITY)
    return tmp_path / "runs" / "reward"


def test_it_comes_back_exactly(model: RewardModel, saved: Path) -> None:
    loaded = RewardModel.load(saved, IDENTITY)
    np.testing.assert_array_equal(loaded.reward(DATA.features), model.reward(DATA.features))
    np.testing.assert_array_equal(
        loaded.probability(DATA.features, DATA.held_out[:5] % 500),
        model.probability(DATA.features, DATA.held_out[:5] % 500),
    )
    np.testing.assert_array_equal(loaded.noise_rate, model.noise_rate)
    assert loaded.config == model.config
    assert loaded.counts == model.counts == {"frames": 500, "pairs": 200, "ties": 0}
    assert loaded.identity == {"encoder": "vit", "weights": "abc", "size": [64, 64]}
    assert sorted(path.name for path in saved.iterdir()) == ["reward.json", "weights.safetensors"]
    assert json.loads((saved / "reward.json").read_text())["noise_rate"] == model.noise_rate.tolist()


def test_saving_again_replaces_and_leaves_nothing_behind(model: RewardModel, saved: Path) -> None:
    model.save(saved, {"encoder": "other"})
    assert RewardModel.load(saved).identity == {"encoder": "other"}
    assert [path.name for path in saved.parent.iterdir()] == ["reward"]


def test_a_failed_save_leaves_the_old_model(
    model: RewardModel, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(storage.layout, "sync_tree", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(saved, {})
    assert RewardModel.load(saved).identity["encoder"] == "vit"
    assert [path.name for path in saved.parent.iterdir()] == ["reward"]


def test_it_does_not_overwrite_something_else(model: RewardModel, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="something else than a reward model"):
        model.save(tmp_path, IDENTITY)


def test_another_encoder_is_refused_by_field(saved: Path) -> None:
    with pytest.raises(BadInput, match="identity.weights is 'abc', but .* 'xyz'"):
        RewardModel.load(saved, {**IDENTITY, "weights": "xyz"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 2}, "format_version is 2.*upgrade"),
        ({"format_version": None}, "format_version is None"),
        ({"identity": 3}, "identity must be of type dict"),
        ({"features": "16"}, "features must be of type int"),
        ({"features": 17}, r"'feature_mean' is \(16,\), but reward.json asks for \(17,\)"),
        ({"config": {"member": 2}}, "config.member: unknown field. Did you mean 'members'"),
        ({"config": {"members": 0}}, "reward config: members must be"),
        ({"config": {"members": 3, "hidden": [8, 4]}}, r"'head.bias_0' is \(2, 1, 8\)"),
        ({"config": {"members": 2, "hidden": [8]}}, "'head.bias_1' is .* asks for none"),
        ({"config": {"members": 2, "hidden": [8, 4, 4]}}, "'head.bias_2' is missing"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_field(saved: Path, changes: dict, words: str) -> None:
    content = json.loads((saved / "reward.json").read_text())
    (saved / "reward.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(BadInput, match=words) as caught:
        RewardModel.load(saved)
    assert "\n" not in str(caught.value)


def test_damaged_files(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a reward model's folder"):
        RewardModel.load(tmp_path / "nowhere")
    arrays = load_file(saved / "weights.safetensors")
    save_file({**arrays, "noise_rate": arrays["noise_rate"] * np.nan}, saved / "weights.safetensors")
    with pytest.raises(BadInput, match="'noise_rate' must be finite float32"):
        RewardModel.load(saved)
    (saved / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(BadInput, match="weights.safetensors cannot be read"):
        RewardModel.load(saved)
    (saved / "reward.json").write_text("{")
    with pytest.raises(BadInput, match="is not JSON"):
        RewardModel.load(saved)
