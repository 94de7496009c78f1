"""`robot-rl edit` end to end: each operation, one-line errors, and a kill that leaves nothing half."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from robot_rl.cli.edit import parse_box, parse_range
from robot_rl.cli.main import main
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.cli.processes import kill_when
from tests.conftest import make_episode, make_writer, write_tiny


def edit(*args: object) -> int:
    return main(["edit", *map(str, args)])


@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    """A dataset that tests only read."""
    return write_tiny(tmp_path_factory.mktemp("edit") / "tiny").root


def test_filter(tiny_dataset, tmp_path, capsys):
    out = tmp_path / "out"
    assert edit(tiny_dataset.root, "filter", out, "--episodes", "1-3", "--without", "nan,dark") == 0
    assert f"{out}: 3 episodes, 36 steps at 10 Hz, of 4 episodes" in capsys.readouterr().out
    told = Dataset.open(out).info.provenance
    assert told["operation"] == "filter" and told["episodes"] == [1, 2, 3]
    assert told["arguments"] == {"episodes": "1-3", "without": "nan,dark"}


def test_split_and_merge_are_inverse_but_for_the_order(tiny_dataset, tmp_path, capsys):
    first, second, merged = (tmp_path / name for name in ("a", "b", "m"))
    assert edit(tiny_dataset.root, "split", first, second, "--fraction", "0.5", "--seed", "3") == 0
    assert edit(first, "merge", second, merged) == 0
    order = [i for path in (first, second) for i in Dataset.open(path).info.provenance["episodes"]]
    assert sorted(order) == [0, 1, 2, 3]
    for new, old in enumerate(order):
        np.testing.assert_array_equal(
            Dataset.open(merged).episode(new).actions, tiny_dataset.episode(old).actions
        )
    assert edit(tiny_dataset.root, "split", tmp_path / "c", tmp_path / "d", "--episodes", "0") == 0
    assert len(Dataset.open(tmp_path / "d")) == 3


def test_a_split_that_was_cut_off_goes_on(tiny_dataset, tmp_path, capsys):
    args = (tiny_dataset.root, "split", tmp_path / "a", tmp_path / "b")
    assert edit(*args) == 0
    shutil.rmtree(tmp_path / "b")
    assert edit(*args) == 0
    assert len(Dataset.open(tmp_path / "a")) + len(Dataset.open(tmp_path / "b")) == 4
    shutil.rmtree(tmp_path / "b")
    capsys.readouterr()
    assert edit(*args, "--seed", "5") == 2
    assert "a already holds a finished dataset" in capsys.readouterr().err


def test_resample(tiny_dataset, tmp_path):
    assert edit(tiny_dataset.root, "resample", tmp_path / "out", "--fps", "5", "--actions", "sum") == 0
    new, old = Dataset.open(tmp_path / "out"), tiny_dataset
    assert new.info.fps == 5 and new.lengths.tolist() == [6] * 4
    pairs = old.column("action").reshape(-1, 2, 4)
    np.testing.assert_allclose(new.column("action"), pairs.sum(1), atol=1e-6)
    np.testing.assert_array_equal(new.final_states(), old.final_states())
    error = new.frames("front", [7]).astype(int) - old.frames("front", [14])
    assert np.abs(error).mean() < 3  # encoded again


def test_crop(tiny_dataset, tmp_path):
    args = ("--seconds", "0.2:0.8", "--picture", "4,8,16x20")
    assert edit(tiny_dataset.root, "crop", tmp_path / "out", *args) == 0
    new = Dataset.open(tmp_path / "out")
    assert new.lengths.tolist() == [6] * 4 and new.info.cameras == {"front": (16, 20)}
    np.testing.assert_array_equal(new.episode(1).actions, tiny_dataset.episode(1).actions[2:8])
    error = new.frames("front", [0]).astype(int) - tiny_dataset.frames("front", [2])[:, 4:20, 8:28]
    assert np.abs(error).mean() < 3
    assert new.info.provenance["arguments"] == {"seconds": "0.2:0.8", "picture": "4,8,16x20"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("filter", "OUT"), "no criterion is given"),
        (("filter", "OUT", "--without", "nna"), "Did you mean 'nan'"),
        (("split", "OUT", "OUT"), "is given twice"),
        (("split", "OUT", "OUT2", "--fraction", "1.5"), "between 0 and 1, not 1.5"),
        (("split", "OUT", "OUT2", "--episodes", "0-3"), "names all episodes"),
        (("merge", "OUT"), "needs at least one other dataset"),
        (("resample", "OUT", "--fps", "10"), "other than the 10"),
        (("resample", "OUT", "--fps", "0.1"), "episode 0: its 12 steps at 10 Hz are 1 at 0.1 Hz"),
        (("crop", "OUT"), "nothing to cut"),
        (("crop", "OUT", "--steps", "1:5", "--seconds", "1:2"), "give one of them"),
        (("crop", "OUT", "--picture", "0,0,64x64"), "leave the 32x32 of camera 'front'"),
        (("crop", "OUT", "--picture", "0,0,4x4", "--camera", "frnt"), "Did you mean 'front'"),
        (("crop", "OUT", "--steps", "11:"), "episode 0: steps 11 to 12 of 12"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(readable, tmp_path, capsys, args, words):
    args = [str(tmp_path / arg.lower()) if arg.startswith("OUT") else arg for arg in args]
    assert edit(readable, *args) == 2
    error = capsys.readouterr().err.splitlines()
    assert words in error[-1] and error[-1].startswith("robot-rl edit: ")
    assert list(tmp_path.iterdir()) == []


def test_ranges_and_boxes():
    assert parse_range("10:", "--steps") == (10, None) and parse_range(":-5", "--steps") == (None, -5)
    assert parse_range("0.5:3", "--seconds") == (0.5, 3)
    assert parse_box("0,16,48x32") == (0, 16, 48, 32)
    for text in ("5", ":", "a:b", "1:2:3"):
        with pytest.raises(BadInput, match="must be FROM:TO"):
            parse_range(text, "--steps")
    for text in ("0,0,3x4", "0,0,4", "-1,0,4x4"):
        with pytest.raises(BadInput, match="must be TOP,LEFT,HEIGHTxWIDTH"):
            parse_box(text)


def test_a_killed_edit_goes_on(tmp_path):
    writer = make_writer(tmp_path / "d", cameras={"front": (96, 96)})
    for index in range(12):
        writer.write(index, make_episode(index, steps=30, size=96))
    writer.close()
    out = tmp_path / "out"
    staged = Path(f"{out}.staging")
    args = ("edit", tmp_path / "d", "crop", out, "--steps", "1:29")
    assert kill_when(lambda: len(list(staged.glob("episode-*"))) >= 2, *args)
    assert not out.exists()
    before = {path.name: path.stat().st_mtime_ns for path in staged.glob("episode-*")}
    assert 2 <= len(before) < 12
    assert edit(*args[1:]) == 0
    assert Dataset.open(out).lengths.tolist() == [28] * 12 and not staged.exists()
