"""Whole episodes of datasets in a new one: numbers, pictures, extras and statistics come along exactly."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_rl.data import layout
from robot_rl.data.consolidate import Limits
from robot_rl.data.edit import assemble
from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.conftest import make_episode, make_writer, write_tiny
from tests.data.test_store import write_foreign


def digests(root: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


def same(new: Dataset, index: int, old: Dataset, source: int) -> None:
    """Everything of an episode is as in its source."""
    ours, theirs = new.episode(index), old.episode(source)
    for key in theirs.observations:
        np.testing.assert_array_equal(
            np.asarray(ours.observations[key]), np.asarray(theirs.observations[key])
        )
    for name in ("actions", "rewards", "success"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert (ours.task, ours.terminated, ours.metadata) == (theirs.task, theirs.terminated, theirs.metadata)
    assert set(ours.labels) == set(theirs.labels)
    for name in theirs.labels:
        np.testing.assert_array_equal(ours.labels[name], theirs.labels[name])
    assert (ours.final_observation is None) == (theirs.final_observation is None)
    for key, value in (theirs.final_observation or {}).items():
        np.testing.assert_array_equal(ours.final_observation[key], value)


def test_some_episodes(tiny_dataset: Dataset, tmp_path: Path) -> None:
    labeled = relabel(tiny_dataset, tmp_path / "l", {"reward.mean": np.arange(48, dtype=np.float32)})
    before = digests(labeled.root)
    new = assemble([(labeled, [3, 1])], tmp_path / "new", {"operation": "filter"})
    assert digests(labeled.root) == before
    assert len(new) == 2 and new.info.total_frames == 24
    same(new, 0, labeled, 1)
    same(new, 1, labeled, 3)
    np.testing.assert_array_equal(new.column("index"), np.arange(24))
    np.testing.assert_array_equal(new.column("episode_index"), np.repeat([0, 1], 12))
    [path] = new.camera("front").files()
    assert os.stat(path).st_ino == os.stat(labeled.camera("front").files()[0]).st_ino
    told = new.info.provenance
    assert told["operation"] == "filter" and told["episodes"] == [1, 3] and told["name"] == "l"
    assert told["source_hash"] == labeled.content_hash
    assert told["source_provenance"]["source_hash"] == tiny_dataset.content_hash
    assert new.info.metadata == labeled.info.metadata
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l", "new", "tiny"]


def test_statistics_and_counts_are_those_of_what_is_left(tiny_dataset: Dataset, tmp_path: Path) -> None:
    new = assemble([(tiny_dataset, [2])], tmp_path / "new", {})
    stats = json.loads((new.root / layout.STATS).read_text())
    np.testing.assert_allclose(stats["action"]["mean"], new.column("action").mean(0), rtol=1e-5)
    assert stats["index"]["max"] == [11] and stats["episode_index"]["max"] == [0]
    info = json.loads((new.root / layout.INFO).read_text())
    assert (info["total_episodes"], info["total_frames"], info["splits"]) == (1, 12, {"train": "0:1"})
    [row] = pq.read_table(new.root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert (row["episode_index"], row["dataset_from_index"], row["dataset_to_index"]) == (0, 0, 12)
    assert row["stats/index/max"] == [11] and row["videos/observation.images.front/from_timestamp"] == 2.4


def test_only_the_tasks_that_are_left(tmp_path: Path) -> None:
    from dataclasses import replace

    writer = make_writer(tmp_path / "d")
    for index, task in enumerate(("open", "close", "open", "wipe")):
        writer.write(index, replace(make_episode(index), task=task))
    writer.close()
    new = assemble([(Dataset.open(tmp_path / "d"), [1, 3])], tmp_path / "new", {})
    assert new.info.tasks == ("close", "wipe")
    assert [episode.task for episode in new] == ["close", "wipe"]


def test_several_files(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "d", episodes=5, limits=Limits(data_mb=1e-6, video_mb=1e-6))
    assert len(source.data_files) == 5
    new = assemble([(source, [0, 2, 4])], tmp_path / "new", {})
    assert [p.name for p in new.data_files] == ["file-000.parquet", "file-001.parquet", "file-002.parquet"]
    assert len(new.camera("front").files()) == 3
    for index, original in enumerate((0, 2, 4)):
        same(new, index, source, original)


def test_merge(tiny_dataset: Dataset, tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other", episodes=3, metadata={"note": "synthetic", "seed": 4})
    new = assemble([(tiny_dataset, range(4)), (other, [0, 2])], tmp_path / "new", {"operation": "merge"})
    assert len(new) == 6
    for index, (source, original) in enumerate(
        [*((tiny_dataset, i) for i in range(4)), (other, 0), (other, 2)]
    ):
        same(new, index, source, original)
    assert new.info.metadata == {"note": "synthetic"}
    first, second = new.info.provenance["sources"]
    assert first["source_hash"] == tiny_dataset.content_hash and second["episodes"] == [0, 2]
    assert second["source_metadata"]["seed"] == 4


def test_rows_of_others_with_pictures_in_tables(tmp_path: Path) -> None:
    states = write_foreign(tmp_path / "foreign")
    foreign = Dataset.open(tmp_path / "foreign")
    one = assemble([(foreign, [1])], tmp_path / "one", {})
    np.testing.assert_array_equal(one.column("observation.state"), states[4:])
    np.testing.assert_array_equal(one.frames("wrist", [0, 5]), foreign.frames("wrist", [4, 9]))
    np.testing.assert_array_equal(one.frames("up", [0, 5]), foreign.frames("up", [4, 9]))
    assert one.info.tasks == ("fold",) and one.episode(0).task == "fold"
    both = assemble([(foreign, [0, 1]), (one, [0])], tmp_path / "both", {})
    np.testing.assert_array_equal(both.column("observation.state"), np.concatenate([states, states[4:]]))
    np.testing.assert_array_equal(both.frames("up", [15]), foreign.frames("up", [9]))
    assert both.info.tasks == ("fold", "wipe") and both.episode(2).task == "fold"
    assert "quality" in both.info.labels


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"robot_type": "other"}, "'robot_type' is 'toy'"),
        ({"state_names": [f"j{i}" for i in range(7)]}, "'observation.state: names'"),
        ({"labels": ["extra"]}, "'extra': .*other has this field and .*tiny has not"),
        ({"metadata": {"state_units": ["deg"] * 7}}, "'state_units' is"),
        ({"fps": 20.0}, "'fps' is 10.0 .* but 20.0"),
    ],
)
def test_what_does_not_agree_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    from dataclasses import replace

    tiny = write_tiny(tmp_path / "tiny", episodes=1, metadata={"state_units": ["rad"] * 7})
    writer = make_writer(tmp_path / "other", **changes)
    labels = {name: np.zeros(12, np.float32) for name in changes.get("labels", ())}
    writer.write(0, replace(make_episode(0), labels=labels, fps=changes.get("fps", 10.0)))
    writer.close()
    with pytest.raises(BadInput, match=words):
        assemble([(tiny, [0]), (Dataset.open(tmp_path / "other"), [0])], tmp_path / "new", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "tiny"]


def test_a_missing_video_and_a_taken_place(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="already holds a finished dataset"):
        assemble([(tiny_dataset, [0])], tiny_dataset.root, {})
    tiny_dataset.camera("front").files()[0].unlink()
    with pytest.raises(BadInput, match="file-000.mp4 is missing; fetch the video"):
        assemble([(tiny_dataset, [0])], tmp_path / "new", {})
    with pytest.raises(BadInput, match="episodes: none is left"):
        assemble([(tiny_dataset, [])], tmp_path / "new", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny"]


def test_a_failure_leaves_nothing(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout, "sync_tree", full)
    with pytest.raises(OSError, match="No space"):
        assemble([(tiny_dataset, [0])], tmp_path / "new", {})
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_what_cannot_be_learned_from_can_be_left_out(tiny_dataset: Dataset, tmp_path: Path) -> None:
    [path] = tiny_dataset.data_files
    table = pq.read_table(path)
    states = tiny_dataset.column("observation.state").copy()
    states[30] = np.nan
    name = "observation.state"
    import pyarrow as pa

    column = pa.array(list(states)).cast(table.schema.field(name).type)
    pq.write_table(table.set_column(table.column_names.index(name), name, column), path)
    broken = Dataset.open(tiny_dataset.root)
    new = assemble([(broken, [0, 1, 3])], tmp_path / "new", {})
    assert new.column(name).shape == (36, 7)


@pytest.mark.parametrize("stamped_first", [True, False])
def test_time_stamps_that_one_source_lacks_do_not_hinder_a_merge(tmp_path: Path, stamped_first: bool) -> None:
    plain = write_tiny(tmp_path / "plain", 2)
    stamps = {"source.timestamp": np.arange(24, dtype=np.float32)}
    stamped = relabel(write_tiny(tmp_path / "other", 2), tmp_path / "stamped", stamps)
    both = [stamped, plain] if stamped_first else [plain, stamped]
    merged = assemble([(dataset, range(2)) for dataset in both], tmp_path / "new", {"operation": "merge"})
    assert merged.info.labels == () and len(merged) == 4
    np.testing.assert_array_equal(merged.column("action")[:24], plain.column("action"))
    table = pq.read_table(merged.data_files[-1])
    assert "source.timestamp" not in table.column_names
    assert "source.timestamp" not in json.loads((merged.root / "meta/stats.json").read_text())
    alone = assemble([(stamped, [1])], tmp_path / "alone", {"operation": "filter"})
    np.testing.assert_array_equal(alone.column("source.timestamp"), np.arange(12, 24))
