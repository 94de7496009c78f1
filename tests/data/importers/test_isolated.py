"""A decoder that crashes ends one process, which is named as a broken episode; nothing else suffers."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rl.data.importers import isolated
from robot_rl.data.importers.isolated import import_isolated
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from tests.data.importers.files import STEPS, robomimic

# Stands for a native decoder that fails on a damaged file; found by the child through PYTHONPATH.
CRASH = """
import os, signal
from robot_rl.data.importers import robomimic

read = robomimic.RobomimicSource.episode

def episode(self, index):
    if index == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return read(self, index)

robomimic.RobomimicSource.episode = episode
"""


@pytest.fixture
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children read demo_1 with a decoder that crashes."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CRASH)
    monkeypatch.syspath_prepend(str(folder))


def test_it_does_what_the_import_in_this_process_does(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    source = robomimic(tmp_path / "s.hdf5", pictures=False)
    report = import_isolated(source, tmp_path / "d", task="lift", progress=lambda *n: calls.append(n))
    assert (report.episodes, report.frames, report.cameras) == (2, 2 * STEPS, ())
    assert calls == [(1, 2), (2, 2)]
    with pytest.raises(BadInput, match="already holds a finished dataset"):
        import_isolated(source, tmp_path / "d", task="lift")


def test_a_crash_is_named_and_leaves_nothing(crashing: None, tmp_path: Path) -> None:
    source = robomimic(tmp_path / "s.hdf5", pictures=False)
    with pytest.raises(BadInput, match="data/demo_1: reading it ended the process .SIGSEGV"):
        import_isolated(source, tmp_path / "d", task="lift")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.hdf5", "site"]


def test_an_episode_that_crashes_can_be_left_out(crashing: None, tmp_path: Path) -> None:
    source = robomimic(tmp_path / "s.hdf5", pictures=False)
    report = import_isolated(source, tmp_path / "d", task="lift", on_bad="skip")
    assert report.episodes == 1 and "episode 1 skipped" in report.notes[-1]
    assert Dataset.open(tmp_path / "d").episode(0).metadata["source_key"] == "demo_0"


LOOP = CRASH.replace("os.kill(os.getpid(), signal.SIGSEGV)", "ctypes.PyDLL(None).sleep(60)").replace(
    "import os, signal", "import ctypes"
)


def test_a_decoder_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LOOP)  # sleeps without letting another thread run
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(isolated, "HUNG", 6.0)
    source = robomimic(tmp_path / "s.hdf5", pictures=False)
    with pytest.raises(
        BadInput, match="data/demo_1: reading it ended the process .it did not come to an end"
    ):
        import_isolated(source, tmp_path / "d", task="lift")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.hdf5", "site"]


def test_memory_is_bounded(tmp_path: Path) -> None:
    source = robomimic(tmp_path / "s.hdf5", pictures=False)
    with pytest.raises(BadInput, match="memory than the 0.3 GB|ended the process|status 1"):
        import_isolated(source, tmp_path / "d", task="lift", memory_gb=0.3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.hdf5"]
