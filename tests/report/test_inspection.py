"""The page on a dataset: inert, bounded, with findings beside the episodes they are in."""

import re

import numpy as np
import pytest

from robot_rl.data.findings import Finding, Inspection, Place, inspect_dataset
from robot_rl.data.store import Dataset
from robot_rl.report import episodes
from robot_rl.report.episodes import choose, moving_most, scale_name, told
from robot_rl.report.inspection import write_inspection
from tests.conftest import make_episode, make_writer, write_tiny
from tests.data.findings.made import signal


def finding(level, *episodes):
    return Finding("stuck", level, "state.c0", "x", "y", tuple(Place(e, 2, 5) for e in episodes))


def test_the_page_opens_offline_and_shows_everything(tiny_dataset, tmp_path):
    page = write_inspection(tmp_path / "p.html", tiny_dataset, inspect_dataset(tiny_dataset), None, "front")
    text = page.read_text()
    assert "http://" not in text and "https://" not in text and "<script" not in text
    for part in ("Findings", "Episodes", "Rates and gaps", "Histograms", "Origin"):
        assert f"<h2>{part}</h2>" in text
    assert text.count("data:image/jpeg") == 4 * 8 and "4 of 4 episodes are drawn" in text
    assert "Nothing was found." in text and "Every step takes 100 ms" in text
    assert "Episode 2 · 12 steps, 1.2 s · return 6 · succeeds" in text


def test_texts_from_a_dataset_are_inert(tmp_path):
    writer = make_writer(tmp_path / "d", metadata={"note": "<script>alert(1)</script>"})
    writer.write(0, make_episode(0))
    writer.close()
    dataset = Dataset.open(tmp_path / "d")
    page = write_inspection(tmp_path / "p.html", dataset, inspect_dataset(dataset), None, None)
    assert "<script>" not in page.read_text() and "&lt;script&gt;" in page.read_text()


def test_findings_are_beside_their_episodes_and_shaded(tiny_dataset, tmp_path):
    signals = inspect_dataset(tiny_dataset).signals
    found = Inspection((finding("warning", 1), finding("note", 2)), signals, ())
    assert told(tiny_dataset, 1, found).endswith("stuck state.c0")
    assert told(tiny_dataset, 2, found).endswith("succeeds")
    page = write_inspection(tmp_path / "p.html", tiny_dataset, found, [1, 2], None).read_text()
    assert "Warning: stuck" in page and "Where: episode 1, steps 2-5." in page
    first, second = re.split(r"<summary>Episode", page)[1:]
    assert first.count("var(--red") > second.count("var(--red")


def test_a_broken_video_does_not_stop_the_page(tiny_dataset, tmp_path):
    tiny_dataset.camera("front").files()[0].write_bytes(b"no video")
    dataset = Dataset.open(tiny_dataset.root)
    page = write_inspection(tmp_path / "p.html", dataset, inspect_dataset(dataset), [0], "front").read_text()
    assert "No pictures:" in page and "Error: video" in page


def test_which_episodes_are_drawn(tmp_path):
    dataset = write_tiny(tmp_path / "d", episodes=9)
    signals = inspect_dataset(dataset).signals
    assert choose(dataset, Inspection((), signals, ()), 20) == list(range(9))
    assert choose(dataset, Inspection((), signals, ()), 3) == [0, 4, 8]
    found = Inspection(
        (finding("note", 1), finding("warning", 5, 6), finding("error", *range(9))), signals, ()
    )
    assert choose(dataset, found, 4) == [0, 3, 5, 6]


def test_the_channels_that_move_most():
    values = np.zeros((40, 3), np.float32)
    values[:, 0] = np.linspace(0, 1, 40)
    values[:, 2] = np.tile(np.linspace(0, 5, 10), 4)
    assert moving_most(signal("state", values, 4), 1) == [2]
    assert moving_most(signal("state", values, 4), 2) == [0, 2]
    assert scale_name("state", ["m", "", "m", "rad"]) == "state [m, rad]"
    assert scale_name("state", [""]) == "state [unit?]"


@pytest.mark.parametrize("most", [1, 2])
def test_many_drawings_are_closed(tiny_dataset, tmp_path, monkeypatch, most):
    monkeypatch.setattr(episodes, "_OPEN", most)
    inspection = inspect_dataset(tiny_dataset)
    page = write_inspection(tmp_path / "p.html", tiny_dataset, inspection, [0, 2], None)
    assert ("<details open>" in page.read_text()) == (most == 2)
