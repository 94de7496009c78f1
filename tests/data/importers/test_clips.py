"""Video clips come in with the numbers beside them, or alone with placeholders that training refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.importers import import_dataset
from robot_rl.data.relabel import relabel
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.data.video_write import Encoding, encode
from robot_rl.errors import BadInput
from tests.conftest import picture
from tests.data.real import real

STEPS = 8


def clip(path: Path, index: int = 0, fps: float = 10, steps: int = STEPS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(np.stack([picture(t, index) for t in range(steps)]), path, fps, Encoding())
    return path


COLUMNS = "state.x,state.y,action.push,reward,success,force,task"


def csv(path: Path, header: str = COLUMNS, rows: int = STEPS) -> Path:
    values = {"state.x": "{t}", "state.y": "{t}.5", "action.push": "-{t}", "reward": "0.{t}"}
    values |= {"success": "{last}", "force": "2", "task": "push it", "timestamp": "{stamp}"}
    lines = [header]
    for t in range(rows):
        last = "true" if t == rows - 1 else "false"
        line = [values[name].format(t=t, last=last, stamp=100 + t / 5) for name in header.split(",")]
        lines.append(",".join(line))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_clip_and_its_numbers_are_an_episode(tmp_path: Path) -> None:
    for index, name in enumerate(("a", "b")):
        clip(tmp_path / f"s/{name}.mp4", index)
        csv(tmp_path / f"s/{name}.csv")
    report = import_dataset(tmp_path / "s", tmp_path / "d")
    assert (report.format, report.episodes, report.frames, report.fps) == ("clips", 2, 16, 10.0)
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info.state_names == ("x", "y") and dataset.info.action_names == ("push",)
    assert dataset.info.labels == ("force",) and dataset.info.tasks == ("push it",)
    episode = dataset.episode(1)
    np.testing.assert_array_equal(episode.observations["state"][:, 1], np.arange(8) + 0.5)
    np.testing.assert_array_equal(episode.actions[:, 0], -np.arange(8))
    np.testing.assert_allclose(episode.rewards, np.arange(8) / 10)
    assert episode.success.tolist() == [False] * 7 + [True]
    assert episode.metadata == {"source_clip": "b"}
    frames = np.asarray(episode.observations["image.camera"]).astype(int)
    assert np.abs(frames[3] - picture(3, 1)).mean() < 12


def test_time_stamps_choose_the_frames(tmp_path: Path) -> None:
    clip(tmp_path / "s/a.mp4", fps=10)
    csv(tmp_path / "s/a.csv", "timestamp,state.x,action.push", rows=4)  # every 0.2 s
    report = import_dataset(tmp_path / "s", tmp_path / "d", task="x")
    assert (report.fps, report.frames) == (5.0, 4)
    frames = Dataset.open(tmp_path / "d").frames("camera", np.arange(4)).astype(int)
    for step, shown in enumerate((0, 2, 4, 6)):
        assert np.abs(frames[step] - picture(shown, 0)).mean() < 12


def test_cameras_are_suffixes_or_folders(tmp_path: Path) -> None:
    clip(tmp_path / "s/a.front.mp4"), clip(tmp_path / "s/a.wrist.mp4", 1)
    assert import_dataset(tmp_path / "s", tmp_path / "d", task="x").cameras == ("front", "wrist")
    clip(tmp_path / "t/front/a.mp4"), clip(tmp_path / "t/side/a.mp4", 1)
    assert import_dataset(tmp_path / "t", tmp_path / "e", task="x").cameras == ("front", "side")


def test_clips_alone_can_be_labeled_but_not_trained_on(tmp_path: Path) -> None:
    report = import_dataset(clip(tmp_path / "a.mp4"), tmp_path / "d", task="dress the arm")
    assert any("no state and no action" in note and "no policy" in note for note in report.notes)
    dataset = Dataset.open(tmp_path / "d")
    assert (dataset.info.state_names, dataset.info.action_names) == (("no_state",), ("no_action",))
    assert not dataset.column("action").any()
    rewards = np.linspace(0, 1, STEPS, dtype=np.float32)
    labeled = relabel(dataset, tmp_path / "labeled", {"next.reward": rewards})
    np.testing.assert_array_equal(labeled.episode(0).rewards, rewards)
    with pytest.raises(BadInput, match="no state and no action, only zeros.*CSV"):
        transitions_from_dataset(labeled)


def test_another_rate_takes_the_nearest_frames(tmp_path: Path) -> None:
    report = import_dataset(clip(tmp_path / "a.mp4"), tmp_path / "d", task="x", fps=5)
    assert (report.fps, report.frames) == (5.0, 4)
    frames = Dataset.open(tmp_path / "d").frames("camera", np.arange(4)).astype(int)
    assert np.abs(frames[2] - picture(4, 0)).mean() < 12


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("state.x,action.push\n1,2\n", "1 rows below its header; it needs at least 2"),
        ("state.x,action.push\n" + "1,2\n" * 7, "7 rows, but .*a.mp4 has 8 frames"),
        (
            "state.x,action.push\n" + "1,2\n" * 7 + "1,left\n",
            "row 9: 'action.push' is 'left'; it must",
        ),
        ("state.x,action.push\n" + "1,2\n" * 7 + "1\n", "row 9 has 1 values, the header 2"),
        ("state.x,state.x\n" + "1,2\n" * 8, "'state.x' is there twice"),
        ("state,action.x\n" + "1,2\n" * 8, "'state' needs a part"),
        ("timestamp,action.x\n" + "1,2\n" * 8, "row 3: 'timestamp' must rise"),
        ("state.x,action.push\n" + "1,2\n" * 7 + "1,nan\n", "actions holds nan at step 7"),
        ("a\0b,c\n" * 9, "names must differ|not allowed|not a readable|CSV"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, text: str, words: str) -> None:
    clip(tmp_path / "s/a.mp4")
    (tmp_path / "s/a.csv").write_text(text)
    with pytest.raises(BadInput, match=words):
        import_dataset(tmp_path / "s", tmp_path / "d", task="x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s"]


def test_clips_that_do_not_match_are_named(tmp_path: Path) -> None:
    clip(tmp_path / "s/a.mp4"), clip(tmp_path / "s/b.mp4")
    csv(tmp_path / "s/a.csv")
    with pytest.raises(BadInput, match="'a' has a CSV file, but 'b' has none"):
        import_dataset(tmp_path / "s", tmp_path / "d", task="x")
    clip(tmp_path / "t/a.front.mp4"), clip(tmp_path / "t/b.mp4")
    with pytest.raises(BadInput, match="'b' has the cameras .'camera'.*'front'"):
        import_dataset(tmp_path / "t", tmp_path / "d", task="x")
    with pytest.raises(BadInput, match="no task text"):
        import_dataset(clip(tmp_path / "u/a.mp4"), tmp_path / "d")


def test_clips_of_several_sizes_are_refused_with_the_remedy(tmp_path: Path) -> None:
    clip(tmp_path / "s/a.mp4")
    large = np.stack([picture(t, 1, 48) for t in range(STEPS)])
    encode(large, tmp_path / "s/b.mp4", 10, Encoding())
    with pytest.raises(
        BadInput, match="b.mp4: its pictures are 48x48 pixels, those of 'a' 32x32; .*--resize"
    ):
        import_dataset(tmp_path / "s", tmp_path / "d", task="push it")
    assert not (tmp_path / "d").exists() and not (tmp_path / "d.staging").exists()
    assert import_dataset(tmp_path / "s", tmp_path / "d", task="push it", resize=(32, 32)).episodes == 2


def test_real_dressing_clips(tmp_path: Path) -> None:
    source = real("dressing_clips")
    report = import_dataset(
        source, tmp_path / "d", task="dress the arm", episodes=1, fps=2, resize=(120, 120)
    )
    assert (report.episodes, report.fps, report.cameras) == (1, 2.0, ("camera",))
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.lengths.tolist() == [29]  # 1290 frames at 90 Hz, every 45th
    assert dataset.frames("camera", [3]).std() > 10
