"""Vectors of a dataset are made once, and again when the dataset or the encoder is another."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.vision import cache
from robot_rl.vision import shards as module
from robot_rl.vision.cache import embed_dataset, release
from robot_rl.vision.shards import Shard, cut, embed_shards, read_ahead
from tests.conftest import make_episode, make_writer, write_tiny


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
    first = np.array(embed_dataset(dataset, "front", encoder))  # the file under the map is damaged below
    entry = next((tmp_path / "cache" / "embeddings").iterdir())
    entry.write_bytes(entry.read_bytes()[:100])
    np.testing.assert_array_equal(embed_dataset(dataset, "front", encoder), first)
    assert encoder.seen == 96


class StoppingEncoder(CountingEncoder):
    """Fails after so many pictures."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def images(self, pictures):
        if self.seen >= self.most:
            raise RuntimeError("stopped")
        return super().images(pictures)


@pytest.fixture
def small_shards(monkeypatch):
    """Every episode of the tiny dataset is a shard of its own."""
    monkeypatch.setattr(cache, "cut", lambda dataset: cut(dataset, 12))


def entries(tmp_path):
    return sorted(
        p.relative_to(tmp_path / "cache" / "embeddings") for p in (tmp_path / "cache").rglob("*.npy")
    )


def test_vectors_are_a_map_that_nobody_can_write_to(tmp_path):
    vectors = embed_dataset(write_tiny(tmp_path / "a"), "front", CountingEncoder())
    assert isinstance(vectors, np.memmap) and vectors.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0
    before = np.array(vectors)
    release(vectors)
    np.testing.assert_array_equal(vectors, before)
    release(before)  # what is no map stays as it is


def test_shards_are_whole_episodes_unless_one_is_too_long(tmp_path):
    writer = make_writer(tmp_path / "data")
    for index, steps in enumerate((3, 4, 30, 5, 2)):
        writer.write(index, make_episode(index, steps))
    writer.close()
    dataset = Dataset.open(tmp_path / "data")
    assert cut(dataset, 6) == (Shard(0, 7), Shard(7, 19), Shard(19, 31), Shard(31, 37), Shard(37, 44))
    assert cut(dataset, 100) == (Shard(0, 44),)
    made = dict(embed_shards(dataset, "front", CountingEncoder(), cut(dataset, 6)))
    whole = CountingEncoder().images(dataset.frames("front", np.arange(44)))
    np.testing.assert_array_equal(np.concatenate([made[part] for part in cut(dataset, 6)]), whole)


def test_large_pictures_come_in_smaller_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_BYTES", 5 * 32 * 32 * 3)
    sizes = []

    class Noting(CountingEncoder):
        def images(self, pictures):
            sizes.append(len(pictures))
            return super().images(pictures)

    list(embed_shards(write_tiny(tmp_path / "a"), "front", Noting(), [Shard(0, 12), Shard(12, 14)]))
    assert sizes == [5, 5, 2, 2]


def test_a_stopped_run_goes_on_where_it_was(tmp_path, small_shards):
    dataset = write_tiny(tmp_path / "a")
    with pytest.raises(RuntimeError, match="stopped"):
        embed_dataset(dataset, "front", StoppingEncoder(24))
    assert [path.name for path in entries(tmp_path)] == ["0-12.npy", "12-24.npy"]
    encoder, told = CountingEncoder(), []
    vectors = embed_dataset(dataset, "front", encoder, told.append)
    assert encoder.seen == 24 and told == [24, 12, 12]
    np.testing.assert_array_equal(vectors, CountingEncoder().images(dataset.frames("front", np.arange(48))))
    assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == 1


KILLED = """
import os, sys
import numpy as np
from robot_rl.data.store import Dataset
from robot_rl.vision import cache
from robot_rl.vision.shards import cut
from tests.vision.test_cache import CountingEncoder

class Dying(CountingEncoder):
    def images(self, pictures):
        if self.seen == 36:
            os.kill(os.getpid(), 9)
        return super().images(pictures)

cache.cut = lambda dataset: cut(dataset, 12)
cache.embed_dataset(Dataset.open(sys.argv[1]), "front", Dying())
"""


def test_kill_9_keeps_whole_shards_and_a_half_written_one_is_not_trusted(tmp_path, small_shards):
    dataset = write_tiny(tmp_path / "a")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, str(dataset.root)], cwd=root)
    assert done.returncode == -signal.SIGKILL
    folder = next((tmp_path / "cache" / "embeddings").iterdir())
    shard = folder / "12-24.npy"
    shard.write_bytes(shard.read_bytes()[:-4])  # one number short
    (folder / ".1-abc.tmp").write_bytes(b"half")
    encoder = CountingEncoder()
    vectors = embed_dataset(dataset, "front", encoder)
    assert encoder.seen == 24
    np.testing.assert_array_equal(vectors, CountingEncoder().images(dataset.frames("front", np.arange(48))))
    assert not folder.exists()


def test_two_at_once_on_one_entry(tmp_path, small_shards):
    dataset, results = write_tiny(tmp_path / "a"), []

    def run():
        results.append(embed_dataset(Dataset.open(dataset.root), "front", CountingEncoder()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = CountingEncoder().images(dataset.frames("front", np.arange(48)))
    assert len(results) == 4 and all(np.array_equal(found, expected) for found in results)


def test_another_process_may_finish_first(tmp_path, small_shards):
    dataset = write_tiny(tmp_path / "a")

    class Overtaken(CountingEncoder):
        """While it works on its last shard, another run finishes and removes the shards."""

        def images(self, pictures):
            if self.seen == 36:
                embed_dataset(Dataset.open(dataset.root), "front", CountingEncoder())
            return super().images(pictures)

    vectors = embed_dataset(dataset, "front", Overtaken())
    np.testing.assert_array_equal(vectors, CountingEncoder().images(dataset.frames("front", np.arange(48))))
    assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_line_and_keeps_what_was_made(tmp_path, small_shards, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(disk)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("no leave to mount here")
    try:
        monkeypatch.setenv("ROBOT_RL_CACHE", str(disk))
        dataset = write_tiny(tmp_path / "a")
        (disk / "other").write_bytes(b"x" * 8000)
        with pytest.raises(BadInput, match=r"no space for the vectors.*ROBOT_RL_CACHE") as caught:
            embed_dataset(dataset, "front", CountingEncoder())
        assert "\n" not in str(caught.value)
        (disk / "other").unlink()
        encoder = CountingEncoder()
        assert len(embed_dataset(dataset, "front", encoder)) == 48 and encoder.seen < 48
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_reading_ahead_keeps_order_and_errors():
    def items():
        yield from range(3)
        raise ValueError("the file ends early")

    found = []
    with pytest.raises(ValueError, match="ends early"):
        found.extend(read_ahead(items()))
    assert found == [0, 1, 2]
    assert list(read_ahead(iter(()))) == []
