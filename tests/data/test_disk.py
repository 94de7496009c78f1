"""A disk that is full or forbids writing gives one line; what is closed is kept, the source untouched."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.cli.main import main
from robot_rl.data.disk import DiskTrouble, disk_trouble, trouble
from robot_rl.data.exporters import export_dataset
from robot_rl.data.importers import import_dataset
from robot_rl.data.relabel import relabel
from robot_rl.data.store import Dataset
from robot_rl.data.writer import DatasetWriter
from tests.conftest import make_episode, make_writer, write_tiny
from tests.data.importers.files import robomimic


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 8 kB, which the system refuses as it does a full disk.

    Not a fixture: what pytest itself writes after the test may be a longer file.
    """
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting needs the rights of root")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize("pictures", [True, False])
def test_a_file_that_may_not_grow_is_named(tmp_path: Path, pictures: bool) -> None:
    writer = make_writer(tmp_path / "d", cameras={"front": (32, 32)} if pictures else {})
    steps = 40 if pictures else 400
    observations = {"state": np.zeros((steps, 7), np.float32) + np.arange(steps, dtype=np.float32)[:, None]}
    if pictures:
        noise = np.random.default_rng(0).integers(0, 255, (steps, 32, 32, 3), dtype=np.uint8)
        observations["image.front"] = noise
    episode = replace(make_episode(0, steps), observations=observations, final_observation=None)
    told = "cannot be written .*too large.*raise the limit.*call continues"
    with small_files(), pytest.raises(DiskTrouble, match=told):
        writer.write(0, episode)
    assert [p.name for p in writer.staging.iterdir()] == ["writer.json"]


def test_a_full_disk_keeps_what_is_done_and_the_import_goes_on(tiny_disk: Path, tmp_path: Path) -> None:
    source = robomimic(tmp_path / "s.hdf5")
    before = source.read_bytes()
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes(2**20 - 2**16))
    with pytest.raises(DiskTrouble, match="No space left.*free space.*are kept in .*d.staging"):
        import_dataset(source, tiny_disk / "d", task="lift")
    assert source.read_bytes() == before and not (tiny_disk / "d").exists()
    filler.unlink()
    assert import_dataset(source, tiny_disk / "d", task="lift").episodes == 2
    assert sorted(p.name for p in tiny_disk.iterdir()) == ["d"]


def test_a_full_disk_leaves_no_half_of_a_version_or_an_export(tiny_disk: Path, tmp_path: Path) -> None:
    dataset = write_tiny(tmp_path / "tiny")
    (tiny_disk / "filler").write_bytes(bytes(2**20 - 2**13))
    with pytest.raises(DiskTrouble, match="No space left"):
        relabel(dataset, tiny_disk / "new", {"next.reward": np.zeros(48, np.float32)})
    with pytest.raises(DiskTrouble, match="No space left"):
        export_dataset(dataset, tiny_disk / "out.hdf5", "robomimic")
    assert [p.name for p in tiny_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("kind", ["robomimic", "d4rl", "minari", "d3rlpy"])
def test_an_export_to_a_full_disk_does_not_crash_hdf5(tiny_disk: Path, tmp_path: Path, kind: str) -> None:
    dataset = write_tiny(tmp_path / "tiny")
    for room in (0, 2**12, 2**13):  # what is refused lies in another part of the file each time
        (tiny_disk / "filler").write_bytes(bytes(2**20 - room))
        with pytest.raises(DiskTrouble, match="No space left"):
            export_dataset(dataset, tiny_disk / "out", kind)
        assert [p.name for p in tiny_disk.iterdir()] == ["filler"]


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskTrouble, match="a file is in the way"):
        make_writer(tmp_path / "file/d")


def test_a_read_only_disk_is_one_line_and_status_2(
    tiny_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    # Permission bits do not bind root, a read-only mount does.
    write_tiny(tmp_path / "tiny", 1)
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    args = ["export", str(tmp_path / "tiny"), str(tiny_disk / "out.hdf5"), "--format", "d4rl"]
    assert main(args) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "the disk is read-only; choose another folder" in told
    assert main(["import", str(robomimic(tmp_path / "s.hdf5")), str(tiny_disk / "d"), "--task", "lift"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "Read-only file system" in told and str(tiny_disk) in told


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not bind root")
def test_a_forbidden_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(DiskTrouble, match="Permission denied.*you may not write there"):
        make_writer(tmp_path / "locked/d")


def test_other_errors_pass() -> None:
    with pytest.raises(FileNotFoundError), disk_trouble(Path("x")):
        raise FileNotFoundError(errno.ENOENT, "No such file")
    assert trouble(OSError("[Errno 28] error: No space left on device")) == errno.ENOSPC
    assert trouble(OSError(errno.EROFS, "Read-only file system")) == errno.EROFS
    assert trouble(OSError("something else")) is None


def test_a_reopened_writer_sees_what_was_kept(tmp_path: Path) -> None:
    writer = make_writer(tmp_path / "d")
    writer.write(0, make_episode(0))
    again = make_writer(tmp_path / "d")
    assert isinstance(again, DatasetWriter) and again.closed_indices() == {0}
    again.close()
    assert len(Dataset.open(tmp_path / "d")) == 1
