"""Vectors of a dataset are made once, and again when the dataset or the encoder is another."""

import numpy as np
import pytest

pytest.importorskip("torch")
from robot_rl.vision.cache import embed_dataset
from tests.conftest import write_tiny


class CountingEncoder:
    """Mean colours as vectors; counts the pictures that it is given."""

    size = 32

    def __init__(self, weights="w"):
        self.identity = {"kind": "test", "model": "mean", "weights": weights, "origin": "here"}
        self.seen = 0

    def images(self, pictures):
        self.seen += len(pictures)
        return pictures.mean((1, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOT_RL_CACHE", str(tmp_path / "cache"))


def test_the_second_call_embeds_nothing(tmp_path):
    dataset, encoder, heard = write_tiny(tmp_path / "a"), CountingEncoder(), []
    first = embed_dataset(dataset, "front", encoder, heard.append)
    assert first.shape == (48, 3) and encoder.seen == sum(heard) == 48
    np.testing.assert_array_equal(embed_dataset(dataset, "front", encoder), first)
    np.testing.assert_array_equal(embed_dataset(dataset, "front", CountingEncoder()), first)
    assert encoder.seen == 48
    assert [path.suffix for path in (tmp_path / "cache" / "embeddings").iterdir()] == [".npy"]


def test_another_dataset_or_encoder_is_embedded(tmp_path):
    dataset, encoder = write_tiny(tmp_path / "a"), CountingEncoder()
    embed_dataset(dataset, "front", encoder)
    embed_dataset(write_tiny(tmp_path / "b", episodes=3), "front", encoder)
    assert encoder.seen == 48 + 36
    other = CountingEncoder("other weights")
    embed_dataset(dataset, "front", other)
    assert other.seen == 48


def test_a_damaged_entry_is_made_again(tmp_path):
    dataset, encoder = write_tiny(tmp_path / "a"), CountingEncoder()
    first = embed_dataset(dataset, "front", encoder)
    entry = next((tmp_path / "cache" / "embeddings").iterdir())
    entry.write_bytes(entry.read_bytes()[:100])
    np.testing.assert_array_equal(embed_dataset(dataset, "front", encoder), first)
    assert encoder.seen == 96
