"""A relabeled version adds columns, shares the videos and leaves the source alone."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rl.data import consolidate
from robot_rl.data import relabel as module
from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import write_tiny
from tests.data.test_store import write_foreign

REWARDS = np.arange(48, dtype=np.float32)


def digests(root: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


def test_a_new_version_and_an_untouched_source(tiny_dataset: Dataset, tmp_path: Path) -> None:
    before = digests(tiny_dataset.root)
    columns = {"next.reward": REWARDS, "reward.mean": REWARDS / 2, "next.success": REWARDS > 40}
    new = relabel(tiny_dataset, tmp_path / "new", columns, provenance={"model": "m1"})
    assert digests(tiny_dataset.root) == before
    np.testing.assert_array_equal(new.column("next.reward"), REWARDS)
    np.testing.assert_array_equal(new.episode(1).labels["reward.mean"], REWARDS[12:24] / 2)
    np.testing.assert_array_equal(new.column("next.success"), REWARDS > 40)
    np.testing.assert_array_equal(new.column("action"), tiny_dataset.column("action"))
    assert new.info.provenance["model"] == "m1"
    assert new.info.provenance["source_hash"] == tiny_dataset.content_hash != new.content_hash
    assert new.info.metadata == tiny_dataset.info.metadata
    assert new.episode(3).terminated
    np.testing.assert_array_equal(new.final_states(), tiny_dataset.final_states())
    video = "videos/observation.images.front/chunk-000/file-000.mp4"
    assert os.stat(new.root / video).st_ino == os.stat(tiny_dataset.root / video).st_ino
    stats = json.loads((new.root / "meta/stats.json").read_text())
    assert stats["reward.mean"]["max"] == [23.5]
    assert stats["next.reward"]["mean"] == [23.5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "tiny"]


def test_versions_of_versions(tiny_dataset: Dataset, tmp_path: Path) -> None:
    first = relabel(tiny_dataset, tmp_path / "1", {"a": REWARDS})
    second = relabel(first, tmp_path / "2", {"b": REWARDS}, provenance={"note": "x"})
    assert second.info.labels == ("a", "b")
    assert second.info.provenance["source_provenance"]["source_hash"] == tiny_dataset.content_hash


def test_rows_of_others_keep_their_labels(tmp_path: Path) -> None:
    write_foreign(tmp_path / "foreign")
    new = relabel(Dataset.open(tmp_path / "foreign"), tmp_path / "new", {"next.reward": REWARDS[:10]})
    np.testing.assert_array_equal(new.column("next.reward"), REWARDS[:10])
    np.testing.assert_array_equal(new.column("action")[:, 0], REWARDS[:10])


def test_videos_are_linked_or_copied_where_hard_links_fail(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(module.os, "link", fail)
    linked = relabel(tiny_dataset, tmp_path / "linked", {})
    assert linked.camera("front").files()[0].is_symlink()
    monkeypatch.setattr(module.os, "symlink", fail)
    copied = relabel(linked, tmp_path / "copied", {})
    assert not copied.camera("front").files()[0].is_symlink()
    np.testing.assert_array_equal(copied.frames("front", [20]), tiny_dataset.frames("front", [20]))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"reward.mean": REWARDS[:5]}, r"\(5,\).*\(48,\)"),
        ({"reward.mean": REWARDS.astype(float)}, "float64.*float32"),
        ({"reward.mean": np.where(REWARDS == 3, np.nan, REWARDS).astype(np.float32)}, "nan at frame 3"),
        ({"action": REWARDS}, "'action'"),
        ({"episode_index": REWARDS}, "'episode_index'"),
        ({"observation.x": REWARDS}, "'observation.x'"),
        ({"a/b": REWARDS}, "not allowed"),
    ],
)
def test_columns_that_do_not_fit(tiny_dataset: Dataset, tmp_path: Path, columns: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        relabel(tiny_dataset, tmp_path / "new", columns)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny"]


def test_files_are_rewritten_part_by_part(tmp_path: Path, monkeypatch) -> None:
    """A row group holds whole episodes, in the source and after; no part is larger."""
    monkeypatch.setattr(consolidate, "ROW_GROUP", 20)
    dataset, sizes, inner = write_tiny(tmp_path / "tiny"), [], module._with_columns

    def noting(dataset, table, columns):
        sizes.append(len(table))
        return inner(dataset, table, columns)

    monkeypatch.setattr(module, "_with_columns", noting)
    new = relabel(dataset, tmp_path / "new", {"a": REWARDS})
    assert sizes == [24] * 2
    assert pq.ParquetFile(new.data_files[0]).num_row_groups == 2
    np.testing.assert_array_equal(new.column("a"), REWARDS)


def test_a_damaged_data_file_is_named(tiny_dataset: Dataset, tmp_path: Path) -> None:
    tiny_dataset.column("index")  # known before the file is damaged, as by a disk that fails
    path = tiny_dataset.data_files[0]
    content = bytearray(path.read_bytes())
    content[20:2000] = bytes(1980)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"file-000.parquet is (damaged|not a readable)"):
        relabel(tiny_dataset, tmp_path / "new", {"a": REWARDS})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny"]


def test_a_target_in_use_is_refused(tiny_dataset: Dataset) -> None:
    with pytest.raises(BadInput, match="already holds"):
        relabel(tiny_dataset, tiny_dataset.root, {"a": REWARDS})


def test_rewards_can_be_protected(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has rewards already"):
        relabel(tiny_dataset, tmp_path / "new", {"next.reward": REWARDS}, replace_rewards=False)
