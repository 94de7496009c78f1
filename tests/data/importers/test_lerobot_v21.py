"""LeRobot v2.1 folders come in whole, and what is broken in them is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_rl.data.importers import detect, import_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.video import open_whole
from robot_rl.data.video_write import Encoding, encode, encode_png
from robot_rl.errors import BadInput
from tests.conftest import picture
from tests.data.real import real

CAMERA = "observation.images.top"
INFO: dict[str, Any] = {
    "codebase_version": "v2.1", "robot_type": "toy", "fps": 10, "chunks_size": 1000,
    "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    "features": {
        "observation.state": {"dtype": "float64", "shape": [2], "names": [["a", "b"]]},
        "action": {"dtype": "float32", "shape": [2], "names": {"motors": ["a", "b"]}},
        "observation.effort": {"dtype": "float32", "shape": [1], "names": None},
        CAMERA: {"dtype": "video", "shape": [32, 32, 3], "names": ["height", "width", "channel"]},
        "next.reward": {"dtype": "float32", "shape": [1], "names": None},
        "next.success": {"dtype": "bool", "shape": [1], "names": None},
        "phase": {"dtype": "int64", "shape": [1], "names": None},
        "comment": {"dtype": "string", "shape": [1], "names": None},
        "task_index": {"dtype": "int64", "shape": [1], "names": None},
    },
}  # fmt: skip


def columns(episode: int, steps: int = 6) -> dict[str, Any]:
    t = np.arange(steps)
    return {
        "observation.state": pa.array([[float(i), episode + 0.5] for i in t]),
        "action": pa.array([[0.5, float(i)] for i in t], pa.list_(pa.float32(), 2)),
        "observation.effort": t / 10,
        "next.reward": t.astype(np.float32),
        "next.success": t == steps - 1,
        "phase": t // 3,
        "comment": ["x"] * steps,
        "task_index": [episode % 2] * steps,
    }


def data_file(root: Path, episode: int) -> Path:
    return root / f"data/chunk-000/episode_{episode:06d}.parquet"


def video_file(root: Path, episode: int) -> Path:
    return root / f"videos/chunk-000/{CAMERA}/episode_{episode:06d}.mp4"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three episodes of six steps."""
    root = tmp_path / "source"
    for folder in (root / "meta", data_file(root, 0).parent, video_file(root, 0).parent):
        folder.mkdir(parents=True)
    for i in range(3):
        pq.write_table(pa.table(columns(i)), data_file(root, i))
        encode(np.stack([picture(t, i) for t in range(6)]), video_file(root, i), 10, Encoding())
    rows = [{"episode_index": i, "length": 6, "tasks": ["wipe"]} for i in range(3)]
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    tasks = [{"task_index": 0, "task": "wipe"}, {"task_index": 1, "task": "fold"}]
    (root / "meta/tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    (root / "meta/info.json").write_text(json.dumps(INFO))
    return root


def test_everything_comes_in(source: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = import_dataset(source, tmp_path / "d", progress=lambda *numbers: calls.append(numbers))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert (report.format, report.episodes, report.frames, report.fps) == ("lerobot_v21", 3, 18, 10.0)
    assert (report.cameras, report.state_size, report.action_size) == (("top",), 2, 2)
    assert report.notes == ("column 'comment' (string [1]) was not taken over",)
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.state_names == dataset.info.action_names == ("a", "b")
    assert dataset.info.labels == ("phase",)
    assert dataset.info.metadata["source"]["features"]["action"]["names"] == {"motors": ["a", "b"]}
    episode = dataset.episode(1)
    assert episode.task == "fold"
    np.testing.assert_array_equal(episode.observations["state"][:, 1], np.full(6, 1.5))
    np.testing.assert_allclose(episode.observations["effort"][:, 0], np.arange(6) / 10, rtol=1e-6)
    np.testing.assert_array_equal(episode.rewards, np.arange(6))
    np.testing.assert_array_equal(episode.labels["phase"], [0, 0, 0, 1, 1, 1])
    assert episode.success.tolist() == [False] * 5 + [True]
    np.testing.assert_array_equal(episode.observations["image.top"], open_whole(video_file(source, 1), 10))


def test_choices(source: Path, tmp_path: Path) -> None:
    report = import_dataset(source, tmp_path / "d", episodes=[2], resize=(16, 24), task="tidy up")
    assert report.episodes == 1
    episode = Dataset.open(tmp_path / "d").episode(0)
    assert episode.task == "tidy up"
    assert episode.metadata == {"source_episode": 2}
    assert episode.observations["image.top"].shape == (6, 16, 24, 3)
    with pytest.raises(BadInput, match=r"episodes: \[5\].*0 to 2"):
        import_dataset(source, tmp_path / "e", episodes=[5])
    with pytest.raises(BadInput, match="fps only applies"):
        import_dataset(source, tmp_path / "e", fps=10)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(root: Path, **changes: Any) -> None:
    table = {name: value for name, value in {**columns(1), **changes}.items() if value is not None}
    pq.write_table(pa.table(table), data_file(root, 1))


def shorter_video(root: Path) -> None:
    encode(np.stack([picture(t, 1) for t in range(4)]), video_file(root, 1), 10, Encoding())


BROKEN = {
    "truncated parquet": (
        lambda r: truncate(data_file(r, 1)),
        "episode_000001.parquet is not a readable Parquet",
    ),
    "corrupt video": (lambda r: truncate(video_file(r, 1)), "episode_000001.mp4"),
    "no video": (lambda r: video_file(r, 1).write_bytes(b""), "episode_000001.mp4.*cannot be opened"),
    "short video": (shorter_video, "episode_000001.mp4 has 4 frames.*6 rows"),
    "missing column": (lambda r: rewrite(r, action=None), "no column 'action'"),
    "wrong shape": (lambda r: rewrite(r, action=pa.array([[0.0] * 3] * 6)), "'action' has 3 values.*says 2"),
    "ragged": (lambda r: rewrite(r, action=pa.array([[0.0] * 2] * 5 + [[0.0]])), "1 values in row 5"),
    "not a number": (
        lambda r: rewrite(r, **{"observation.state": pa.array([[0.0, 0.0]] * 4 + [[0.0, np.nan]] * 2)}),
        "episode_000001.parquet.*'state'.*nan at step 4, element 1",
    ),
    "empty": (lambda r: rewrite(r, **{"next.reward": pa.array([None] * 6, pa.float32())}), "6 empty values"),
    "fewer rows": (lambda r: pq.write_table(pa.table(columns(1, 5)), data_file(r, 1)), "5 rows.*says 6"),
    "unknown task": (lambda r: rewrite(r, task_index=[9] * 6), "task_index 9"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_episode_is_named_or_skipped(source: Path, tmp_path: Path, what: str) -> None:
    spoil, words = BROKEN[what]
    spoil(source)
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]  # nothing is left behind
    report = import_dataset(source, tmp_path / "d", on_bad="skip")
    assert report.episodes == 2
    assert report.notes[-1].startswith("episode 1 skipped: ")
    assert [e.metadata["source_episode"] for e in Dataset.open(tmp_path / "d")] == [0, 2]


def info_with(root: Path, **changes: Any) -> None:
    (root / "meta/info.json").write_text(json.dumps({**INFO, **changes}))


BROKEN_FOLDERS = {
    "traversal": (lambda r: info_with(r, data_path="../{episode_index:06d}.parquet"), "data_path.*leaves"),
    "video traversal": (lambda r: info_with(r, video_path="/etc/{episode_index}.mp4"), "video_path.*leaves"),
    "template": (lambda r: info_with(r, data_path="{episode:03d}"), "unknown field 'episode'"),
    "no state": (lambda r: info_with(r, features={"action": {}}), "no 'observation.state'"),
    "no features": (lambda r: info_with(r, features=None), "features is missing"),
    "no rate": (lambda r: info_with(r, fps=None), "fps is None"),
    "odd": (
        lambda r: info_with(
            r, features={**INFO["features"], CAMERA: {"dtype": "video", "shape": [33, 32, 3], "names": None}}
        ),
        "camera 'top'.*even",
    ),
    "no episodes": (lambda r: (r / "meta/episodes.jsonl").unlink(), "episodes.jsonl is missing"),
    "garbled episodes": (lambda r: (r / "meta/episodes.jsonl").write_text("{"), "episodes.jsonl is not"),
    "not JSON": (lambda r: (r / "meta/info.json").write_text("{"), "info.json is not readable JSON"),
    "version": (lambda r: info_with(r, codebase_version="v1.6"), "codebase_version is 'v1.6'"),
}


@pytest.mark.parametrize("what", BROKEN_FOLDERS)
def test_a_broken_folder_is_named(source: Path, tmp_path: Path, what: str) -> None:
    spoil, words = BROKEN_FOLDERS[what]
    spoil(source)
    with pytest.raises(BadInput, match=words):
        import_dataset(source, tmp_path / "d")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_pictures_inside_the_data_files(source: Path, tmp_path: Path) -> None:
    for i in range(3):
        images = pa.array([{"bytes": encode_png(picture(t, i)), "path": ""} for t in range(6)])
        pq.write_table(pa.table({**columns(i), CAMERA: images}), data_file(source, i))
    feature = {**INFO["features"][CAMERA], "dtype": "image"}
    info_with(source, features={**INFO["features"], CAMERA: feature}, video_path=None)
    import_dataset(source, tmp_path / "d")
    frame = Dataset.open(tmp_path / "d").frames("top", [8])[0]
    assert np.abs(frame.astype(int) - picture(2, 1)).mean() < 12


def test_detect(source: Path, tmp_path: Path) -> None:
    assert detect(source) == "lerobot_v21"
    with pytest.raises(BadInput, match="does not exist"):
        detect(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no dataset"):
        detect(tmp_path / "empty")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(BadInput, match="no HDF5 file"):
        detect(tmp_path / "text")
    import_dataset(source, tmp_path / "d", episodes=1)
    assert detect(tmp_path / "d") == "lerobot_v3"


def test_a_partial_download_is_imported_as_far_as_it_goes(source: Path, tmp_path: Path) -> None:
    data_file(source, 1).unlink()
    video_file(source, 2).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    report = import_dataset(source, tmp_path / "d")
    assert report.episodes == 1
    notes = " | ".join(report.notes)
    assert "1 of 3 episodes are left out, for their data files are not there" in notes
    assert "1 of 2 episodes are left out, for their videos of camera 'top' are not there" in notes
    assert [e.metadata["source_episode"] for e in Dataset.open(tmp_path / "d")] == [0]


def test_without_any_video_the_numbers_come_in(source: Path, tmp_path: Path) -> None:
    for i in range(3):
        video_file(source, i).unlink()
    report = import_dataset(source, tmp_path / "d")
    assert (report.episodes, report.cameras) == (3, ())
    assert "camera 'top' is left out: none of its videos is there" in report.notes
    for i in range(3):
        data_file(source, i).unlink()
    with pytest.raises(BadInput, match="episode_000000.parquet is missing, as are all"):
        import_dataset(source, tmp_path / "e")


def test_an_interrupted_import_resumes(source: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset(source, tmp_path / "d", progress=stop)
    with pytest.raises(BadInput, match="2 episodes are closed"):
        Dataset.open(tmp_path / "d")
    assert import_dataset(source, tmp_path / "d").episodes == 3


def test_real_humanoid_recordings(tmp_path: Path) -> None:
    source = real("g1_bottle_lerobot_v21")
    report = import_dataset(source, tmp_path / "g1", episodes=2)
    assert (report.episodes, report.frames, report.fps) == (2, 290 + 421, 30.0)
    assert (report.cameras, report.state_size, report.action_size) == (("cam_high",), 26, 26)
    dataset = Dataset.open(tmp_path / "g1")
    assert dataset.info.state_names[0] == "kLeftShoulderPitch"
    table = pq.read_table(source / "data/chunk-000/episode_000001.parquet")
    states = np.array(table["observation.state"].to_pylist(), np.float32)
    np.testing.assert_array_equal(dataset.episode(1).observations["state"], states)
    video = source / "videos/chunk-000/observation.images.cam_high/episode_000001.mp4"
    wanted = [0, 1, 210, 420]
    np.testing.assert_array_equal(
        dataset.episode(1).observations["image.cam_high"][wanted], open_whole(video, 30)[wanted]
    )
    assert dataset.raw["features"]["observation.images.cam_high"]["info"]["video.codec"] == "av1"
