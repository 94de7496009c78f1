"""LeRobotDataset v3 folders of others come in, whole or as far as they were downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.data import layout
from robot_rl.data.checksums import SUMS
from robot_rl.data.consolidate import Limits
from robot_rl.data.importers import import_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.video_write import encode_png
from robot_rl.errors import BadInput
from tests.conftest import picture, write_tiny

KEY = "observation.images.front"


def edit_info(root: Path, **changes: object) -> None:
    info = layout.read_json(root / layout.INFO)
    (root / layout.INFO).write_text(json.dumps({**info, **changes}))


def of_others(path: Path, **changes: object) -> Path:
    """A dataset without anything that only we write; one data and video file an episode."""
    write_tiny(path, 4, limits=Limits(1e-6, 1e-6), **changes)
    for name in (SUMS, layout.OWN_JSON, layout.OWN_TABLE):
        (path / name).unlink()
    return path


def with_pictures(root: Path, embedded: bool = True) -> Path:
    """Put the camera's pictures into the Parquet files, or beside them with their path there."""
    for index, path in enumerate(sorted(root.glob("data/*/*.parquet"))):
        values = []
        for t in range(12):
            name, data = f"images/{index}/{t}.png", encode_png(picture(t, index))
            if not embedded:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(data)
            values.append({"bytes": data if embedded else None, "path": name})
        table = pq.read_table(path).append_column(KEY, pa.array(values))
        pq.write_table(table, path)
    features = layout.read_json(root / layout.INFO)["features"]
    features[KEY] = {"dtype": "image", "shape": [32, 32, 3], "names": ["height", "width", "channels"]}
    edit_info(root, features=features, video_path=None)
    return root


def test_everything_comes_in(tmp_path: Path) -> None:
    source = of_others(tmp_path / "s")
    theirs = Dataset.open(source)
    report = import_dataset(source, tmp_path / "d")
    assert (report.format, report.episodes, report.frames, report.notes) == ("lerobot_v3", 4, 48, ())
    ours = Dataset.open(tmp_path / "d")
    for name in ("observation.state", "action", "next.reward", "next.success"):
        np.testing.assert_array_equal(ours.column(name), theirs.column(name))
    wanted = np.arange(0, 48, 5)
    np.testing.assert_array_equal(ours.frames("front", wanted), theirs.frames("front", wanted))
    assert ours.info.tasks == ("open the drawer",)
    assert ours.episode(2).metadata == {"source_episode": 2}


def test_our_own_words_survive(tmp_path: Path) -> None:
    ours = write_tiny(tmp_path / "s")
    import_dataset(tmp_path / "s", tmp_path / "d", resize=(16, 16))
    copy = Dataset.open(tmp_path / "d")
    np.testing.assert_array_equal(copy.final_states(), ours.final_states())
    np.testing.assert_array_equal(copy.terminated, ours.terminated)
    assert copy.episode(3).metadata == {"source_episode": 3, "seed": 3}
    assert copy.episode(3).final_observation["image.front"].shape == (16, 16, 3)
    assert copy.info.metadata["source"]["metadata"] == {"note": "synthetic"}


@pytest.mark.parametrize("embedded", [True, False])
def test_pictures_in_parquet_or_beside_it(tmp_path: Path, embedded: bool) -> None:
    source = with_pictures(of_others(tmp_path / "s"), embedded)
    np.testing.assert_array_equal(Dataset.open(source).frames("front", [17])[0], picture(5, 1))
    import_dataset(source, tmp_path / "d")
    frame = Dataset.open(tmp_path / "d").frames("front", [17])[0]
    assert np.abs(frame.astype(int) - picture(5, 1)).mean() < 12


def test_a_picture_path_cannot_leave_the_folder(tmp_path: Path) -> None:
    source = with_pictures(of_others(tmp_path / "s"), embedded=False)
    path = sorted(source.glob("data/*/*.parquet"))[0]
    table = pq.read_table(path)
    values = [{"bytes": None, "path": "../../secret.png"}] * 12
    at = table.column_names.index(KEY)
    pq.write_table(table.set_column(at, KEY, pa.array(values)), path)
    with pytest.raises(BadInput, match="leaves the dataset's folder"):
        import_dataset(source, tmp_path / "d")


def test_a_partial_download_is_imported_as_far_as_it_goes(tmp_path: Path) -> None:
    source = of_others(tmp_path / "s")
    sorted(source.glob("data/*/*.parquet"))[0].unlink()
    sorted(source.glob("videos/*/*/*.mp4"))[3].unlink()
    report = import_dataset(source, tmp_path / "d")
    assert report.episodes == 2
    assert "data files are not there (partial download): 0" in report.notes[0]
    assert "videos of camera 'front' are not there (partial download): 3" in report.notes[1]
    assert [e.metadata["source_episode"] for e in Dataset.open(tmp_path / "d")] == [1, 2]


def test_a_dataset_without_a_column_of_that_name_gets_a_state_of_its_parts(tmp_path: Path) -> None:
    source = of_others(tmp_path / "s")
    features = layout.read_json(source / layout.INFO)["features"]
    features = {k.replace("observation.state", "observation.joints"): f for k, f in features.items()}
    features["observation.tip"] = {"dtype": "float32", "shape": [2], "names": ["x", "y"]}
    for path in source.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        names = [n.replace("observation.state", "observation.joints") for n in table.column_names]
        table = table.rename_columns(names)
        pq.write_table(table.append_column("observation.tip", pa.array([[1.0, 2.0]] * 12)), path)
    edit_info(source, features=features)
    report = import_dataset(source, tmp_path / "d")
    assert (
        "there is no 'observation.state'; it is made of observation.joints, observation.tip" in report.notes
    )
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.state_names[6:] == ("joints.joint_6", "tip.x", "tip.y")
    assert dataset.column("observation.state")[5, -2:].tolist() == [1.0, 2.0]


def test_a_changed_file_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "s").root
    video = next(source.glob("videos/*/*/*.mp4"))
    data = bytearray(video.read_bytes())
    data[-200] ^= 1
    video.write_bytes(data)
    with pytest.raises(BadInput, match="file-000.mp4 differs from its checksum in meta/SHA256SUMS"):
        import_dataset(source, tmp_path / "d")
    (source / SUMS).write_text(f"{'0' * 64}  ../../etc/passwd\n")
    with pytest.raises(BadInput, match="leaves the dataset's folder"):
        import_dataset(source, tmp_path / "d")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: edit_info(r, fps="fast"), "fps is 'fast'; it must be a positive number"),
        (lambda r: edit_info(r, data_path="../{chunk_index}"), "data_path.*leaves"),
        (lambda r: (r / layout.TASKS).unlink(), "tasks.parquet is missing"),
        (lambda r: _truncate(r, "data/*/*.parquet"), "not a readable Parquet"),
        (lambda r: _truncate(r, "videos/*/*/*.mp4"), "cannot be opened as a video"),
        (lambda r: _truncate(r, "meta/episodes/*/*.parquet"), "not a readable Parquet"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, spoil, words: str) -> None:
    source = of_others(tmp_path / "s")
    spoil(source)
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s"]


def _truncate(root: Path, pattern: str) -> None:
    path = sorted(root.glob(pattern))[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
