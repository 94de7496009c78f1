"""`robot-rl inspect` prints numbers that agree with the dataset, and one line where there is none."""

import re

import numpy as np
import pytest

from robot_rl.cli.inspect import parse_episodes
from robot_rl.cli.main import main


def test_summary(tiny_dataset, capsys):
    assert main(["inspect", str(tiny_dataset.root)]) == 0
    told = capsys.readouterr().out
    facts = dict(line.split(":", 1) for line in told.split("\n\n")[0].splitlines())
    assert facts["episodes"].strip() == "4, 2 of them terminated"
    assert facts["frames"].strip() == "48 at 10 Hz, 5 s"
    assert facts["cameras"].strip() == "front 32x32"
    assert facts["success"].strip() == "4 of 4 episodes (100%)"
    assert facts["reward"].strip() == "return 6 mean, 6 to 6"  # 12 steps from 0 to 1
    assert facts["labels"].strip() == "(none)"
    state = tiny_dataset.column("observation.state")[:, 3]
    row = next(line.split() for line in told.splitlines() if line.startswith("joint_3 "))
    np.testing.assert_allclose(
        [float(x) for x in row[1:]], [state.min(), state.mean(), state.max(), state.std()], rtol=1e-3
    )
    assert "grip" in told and "next.reward" in told and 'note: "synthetic"' in told


def test_no_dataset_is_one_line(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"robot-rl inspect: {tmp_path}") and error.count("\n") == 1


def test_findings_are_told_with_place_and_remedy(tmp_path, capsys):
    from tests.conftest import make_episode, make_writer

    writer = make_writer(tmp_path / "d", metadata={"state_units": ["rad"] * 7})
    for index in range(3):
        episode = make_episode(index)
        episode.observations["state"][:, 2] *= 100
        if index == 1:
            episode.observations["image.front"][:] = 1
        writer.write(index, episode)
    writer.close()
    assert main(["inspect", str(tmp_path / "d")]) == 0
    told = capsys.readouterr().out
    assert "findings: 2 warnings (numbers of 3 episodes; pictures of 3 of 3 episodes)" in told
    assert "warning [units] state.joint_2: joint_2: up to" in told and "looks like degrees" in told
    assert "warning [dark] camera front: black or of one colour in 1 of the 3 episodes" in told
    assert "where: episode 1, steps 0-11" in told and "do:    lens covered" in told
    assert re.search(r"joint_1 +rad ", told)


def test_the_page_and_where_it_goes(tiny_dataset, tmp_path, capsys):
    before = sorted(tiny_dataset.root.rglob("*"))
    assert main(["inspect", str(tiny_dataset.root), "--html"]) == 0
    page = tmp_path / "tiny.inspect.html"
    assert f"page: {page}" in capsys.readouterr().out and page.exists()
    assert page.read_text().count("<summary>Episode") == 4
    assert page.read_text().count("data:image/jpeg") == 4 * 8
    assert (
        main(["inspect", str(tiny_dataset.root), "--html", str(tmp_path / "x.html"), "--episodes", "1,3"])
        == 0
    )
    other = (tmp_path / "x.html").read_text()
    assert other.count("<summary>Episode") == 2 and "2 of 4 episodes are drawn" in other
    assert sorted(tiny_dataset.root.rglob("*")) == before


def test_rerun(tiny_dataset, tmp_path, capsys):
    pytest.importorskip("rerun")
    assert main(["inspect", str(tiny_dataset.root), "--episodes", "2", "--rerun", str(tmp_path / "r")]) == 0
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["episode_000002.rrd"]
    assert "1 of 4 episodes for Rerun" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--episodes", "1,x"], "--episodes: 'x' is no episode"),
        (["--episodes", "2-9"], "'2-9' is not in the dataset, which has episodes 0 to 3"),
        (["--camera", "frnt"], "Did you mean 'front'?"),
        (["--html", "a", "b"], "--html: takes one path, not 2"),
        (["--html", "{root}/page.html"], "lies inside the dataset"),
    ],
)
def test_bad_options_are_one_line(tiny_dataset, capsys, options, words):
    options = [option.format(root=tiny_dataset.root) for option in options]
    assert main(["inspect", str(tiny_dataset.root), *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_episode_numbers():
    assert parse_episodes(None, 5) is None
    assert parse_episodes("all", 3) == [0, 1, 2]
    assert parse_episodes("4, 0-2,1", 5) == [0, 1, 2, 4]
