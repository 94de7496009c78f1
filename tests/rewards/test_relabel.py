"""A relabeled dataset has learned rewards, keeps the source's own apart, and leaves the source alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.rewards import checks
from robot_rl.rewards.relabel import relabel_dataset, stream_rewards
from tests.data.test_relabel import digests

MEAN = np.linspace(-1, 1, 48)
STD = np.full(48, 0.1)


def test_the_source_is_unchanged_and_its_reward_kept_apart(tiny_dataset: Dataset, tmp_path: Path) -> None:
    before = digests(tiny_dataset.root)
    new = relabel_dataset(tiny_dataset, (MEAN, STD), tmp_path / "new", {"model": "m", "reward_source": "?"})
    assert digests(tiny_dataset.root) == before
    for name in ("next.reward", "reward.mean"):
        np.testing.assert_array_equal(new.column(name), MEAN.astype(np.float32))
    np.testing.assert_array_equal(new.column("reward.std"), STD.astype(np.float32))
    np.testing.assert_array_equal(new.column("source.reward"), tiny_dataset.column("next.reward"))
    assert new.info.provenance["model"] == "m"
    assert new.info.provenance["reward_source"] == "learned"
    assert new.info.provenance["source_reward_column"] == "source.reward"


def test_relabeling_again_keeps_the_first_source(tiny_dataset: Dataset, tmp_path: Path) -> None:
    first = relabel_dataset(tiny_dataset, (MEAN, STD), tmp_path / "1", {})
    second = relabel_dataset(first, (-MEAN, STD), tmp_path / "2", {})
    np.testing.assert_array_equal(second.column("source.reward"), tiny_dataset.column("next.reward"))
    np.testing.assert_array_equal(second.column("next.reward"), -MEAN.astype(np.float32))
    assert second.info.provenance["source_reward_column"] == "source.reward"


def test_a_learned_reward_never_becomes_the_source_reward(tiny_dataset: Dataset, tmp_path: Path) -> None:
    learned = relabel(tiny_dataset, tmp_path / "1", {"reward.mean": MEAN.astype(np.float32)})
    new = relabel_dataset(learned, (MEAN, STD), tmp_path / "2", {})
    assert "source.reward" not in new.info.labels
    assert new.info.provenance["source_reward_column"] is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((MEAN[:5], STD), r"reward.mean: must be numbers \(48,\)"),
        ((np.where(MEAN > 0.9, np.nan, MEAN), STD), "reward.mean: nan at index"),
        ((MEAN, -STD), "reward.std: -0.1 at index 0.*>= 0"),
    ],
)
def test_values_that_do_not_fit(tiny_dataset: Dataset, tmp_path: Path, values: tuple, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        relabel_dataset(tiny_dataset, values, tmp_path / "new", {})


def test_streamed_rewards_are_the_model_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from robot_rl.rewards.model import RewardConfig, RewardModel

    monkeypatch.setattr(checks, "CHUNK", 7)
    features = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    model = RewardModel.fit(features, np.array([[0, 1], [2, 3]]), np.array([1.0, 0.0]),
                            RewardConfig(members=2, hidden=(8,), epochs=1))  # fmt: skip
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    np.testing.assert_array_equal(stream_rewards(model, mapped), model.reward(features))
