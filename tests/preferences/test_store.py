"""The label store survives kills and a second writer, refuses other files, and only ever grows."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences import store as module
from robot_rl.preferences.store import LabelStore, file_system
from robot_rl.preferences.types import Outcome, Preference

WRITER = Path(__file__).with_name("writer.py")
OTHER_P = """key, written, outcome, 0.9, labeler, model, prompt_version, "order", rationale, tokens,
    cost, latency, error"""
FULL = Preference("preference", 0.25, "vlm", "m", "2", "swapped", "the drawer is out", 120, 0.002, 1.5)


def start_writer(path, start, stop, name):
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(start), str(stop), name],
        stdout=subprocess.PIPE, text=True, cwd=WRITER.parents[2],
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "labels.sqlite"


def test_answers_come_back_whole(path):
    answers = {
        "a": FULL,
        "b": Preference("tie", 0.5),
        "c": Preference("cannot_tell", rationale="too dark"),
    }
    with LabelStore(path) as store:
        store.put(answers | {"d": Preference("failed", error="time-out", cost=0.5, tokens=7)})
    with LabelStore(path) as store:
        assert store.get("abcde") == answers
        assert store.counts() == {
            Outcome.PREFERENCE: 1, Outcome.TIE: 1, Outcome.CANNOT_TELL: 1, Outcome.FAILED: 1
        }  # fmt: skip
        assert store.totals() == (pytest.approx(0.502), 127)


def test_the_first_answer_stands_and_failures_pile_up(path):
    with LabelStore(path) as store:
        for cost in (1.0, 2.0):
            store.put({"k": Preference("failed", error="no", cost=cost)})
        store.put({"k": FULL})
        store.put({"k": Preference("tie", 0.5)})
        assert store.get(["k"]) == {"k": FULL}
        assert store.counts()[Outcome.FAILED] == 2 and store.counts()[Outcome.TIE] == 0
        assert store.totals()[0] == pytest.approx(3.002)


def test_many_keys_at_once(path):
    with LabelStore(path) as store:
        store.put({f"k{i}": FULL for i in range(2500)})
        assert len(store.get([f"k{i}" for i in range(3000)])) == 2500


def test_a_batch_is_all_or_nothing(path):
    with LabelStore(path) as store:
        broken = Preference("tie", 0.5)
        object.__setattr__(broken, "order", "sideways")  # past validation, as a bug would
        with pytest.raises(sqlite3.IntegrityError):
            store.put({"a": FULL, "b": broken})
        assert store.get("ab") == {}
        store.put({"a": FULL})
        assert len(store.get("ab")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE labels SET p = 0.9",
        "DELETE FROM labels",
        f"INSERT OR REPLACE INTO labels SELECT id, {OTHER_P} FROM labels",
        f"INSERT OR REPLACE INTO labels SELECT NULL, {OTHER_P} FROM labels",
    ],
)
def test_append_only_for_any_program(path, statement):
    with LabelStore(path) as store:
        store.put({"a": FULL})
    other = sqlite3.connect(path)
    try:
        other.execute(statement)
        other.commit()
    except sqlite3.IntegrityError as error:
        assert "append-only" in str(error)
    other.close()
    with LabelStore(path) as store:
        assert store.get("a") == {"a": FULL} and sum(store.counts().values()) == 1


def test_a_newer_version_is_named(path):
    LabelStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE meta SET value = '7' WHERE name = 'schema_version'")
    with pytest.raises(
        BadInput, match=r"labels\.sqlite: label store version 7 is newer than version 1.*upgrade"
    ):
        LabelStore(path)


def test_other_files_are_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 100)
    with pytest.raises(BadInput, match="notes.txt: is not a label store"):
        LabelStore(text)
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE meta (x)")
    before = foreign.read_bytes()
    with pytest.raises(BadInput, match="not a label store"):
        LabelStore(foreign)
    assert text.read_text() == "not a database " * 100 and foreign.read_bytes() == before
    with pytest.raises(BadInput, match="is a folder"):
        LabelStore(tmp_path)
    with pytest.raises(BadInput, match="cannot open"):
        LabelStore(text / "labels.sqlite")


def test_wal_where_it_can_and_the_rollback_journal_where_not(path, monkeypatch):
    with LabelStore(path) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    class NoWal(sqlite3.Connection):
        """As on a file system without shared memory: the pragma answers with the mode that stays."""

        def execute(self, sql, *args):
            if "WAL" in sql:
                sql = "PRAGMA journal_mode"
            return super().execute(sql, *args)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=NoWal))
    with LabelStore(path.with_name("second.sqlite")) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        store.put({"a": FULL})
        assert store.get("a") == {"a": FULL}


NFS = """overlay / overlay rw 0 0
proc /proc proc rw 0 0
server:/a {home} nfs4 rw,vers=4.2 0 0
tmpfs {home}/local tmpfs rw 0 0
me@host: {home}/with\\040blank fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("", "nfs4"), ("/deep/er", "nfs4"), ("/local", "tmpfs"), ("/localhost", "nfs4"),
     ("/with blank/x", "fuse.sshfs"), ("-other", "overlay")],
)  # fmt: skip
def test_the_longest_mount_point_decides(tmp_path, folder, kind):
    home = tmp_path.resolve() / "home"
    assert file_system(Path(f"{home}{folder}") / "labels.sqlite", NFS.format(home=home)) == kind


def test_no_wal_on_a_network_file_system(tmp_path):
    path, mounts = tmp_path / "labels.sqlite", NFS.format(home=tmp_path.resolve())
    with LabelStore(path) as store:
        assert store.notes == ()
        store.put({"a": FULL})
        copies = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".sqlite-shm"}
    for name, content in copies.items():  # as a killed run leaves it: the answer is in the WAL alone
        (tmp_path / name).write_bytes(content)
    assert (tmp_path / "labels.sqlite-wal").stat().st_size > 0
    with LabelStore(path, mounts) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert len(store.notes) == 1 and "nfs4" in store.notes[0] and "\n" not in store.notes[0]
        store.put({"b": FULL})
        with LabelStore(path, mounts) as second:
            second.put({"c": FULL}, sync=False)
            second.sync()
        assert store.get("abc").keys() == set("abc")
        assert [p.name for p in tmp_path.iterdir()] == ["labels.sqlite"]


def test_a_store_that_another_process_keeps_in_wal_is_refused_on_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BUSY_SECONDS", 0.1)
    monkeypatch.setattr(module, "_SWITCH_SECONDS", 0.1)
    path, mounts = tmp_path / "labels.sqlite", NFS.format(home=tmp_path.resolve())
    with LabelStore(path) as store:
        store.put({"a": FULL})
        with pytest.raises(RobotRLError, match=r"labels.sqlite: .*another process"):
            LabelStore(path, mounts)
        assert store.get("a") == {"a": FULL}


def test_what_is_not_synced_is_still_whole_after_a_kill(path):
    code = (
        "import os, sys\nfrom robot_rl.preferences.store import LabelStore\n"
        "from robot_rl.preferences.types import Preference\nstore = LabelStore(sys.argv[1])\n"
        "for n in range(50): store.put({f'k{n}': Preference('tie', 0.5)}, sync=False)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=WRITER.parents[2])
    assert done.returncode == -signal.SIGKILL
    with LabelStore(path) as store:
        assert len(store.get([f"k{n}" for n in range(50)])) == 50


FILLER = """
import resource, sys
from robot_rl.errors import RobotRLError
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Preference
store = LabelStore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for n in range(10_000):
    try:
        store.put({f"k{n}": Preference("tie", 0.5, rationale="r" * 2000)})
    except RobotRLError as error:
        print(n, error)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.put({f"k{n}": Preference("tie", 0.5)})  # the same connection goes on
"""


def check_full(path, full_at, message):
    """Nothing was lost of what was stored before the disk was full, and the store goes on."""
    assert full_at > 5 and "full" in message and "free some space" in message and "\n" not in message
    with LabelStore(path) as store:
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert store.get([f"k{n}" for n in range(full_at + 1)]).keys() == {
            f"k{n}" for n in range(full_at + 1)
        }
        store.put({"later": FULL})
        assert store.get(["later"]) == {"later": FULL}


def test_a_limit_on_file_sizes_is_one_line_and_loses_nothing(path):
    done = subprocess.run([sys.executable, "-c", "import signal; signal.signal(25, 1)\n" + FILLER, str(path)],
                          capture_output=True, text=True, cwd=WRITER.parents[2])  # fmt: skip
    assert done.returncode == 0, done.stderr
    full_at, _, message = done.stdout.strip().partition(" ")
    check_full(path, int(full_at), message)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("no leave to mount here")
    try:
        (disk / "other").write_bytes(b"x" * 150_000)
        with LabelStore(disk / "labels.sqlite") as store:
            for full_at in range(10_000):
                answer = {f"k{full_at}": Preference("tie", 0.5, rationale="r" * 2000)}
                try:
                    store.put(answer)
                except RobotRLError as error:
                    message = str(error)
                    break
            assert len(store.get([f"k{n}" for n in range(full_at)])) == full_at
            (disk / "other").unlink()
            store.put(answer)
        check_full(disk / "labels.sqlite", full_at, message)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_kill_at_random_moments_loses_nothing(path):
    committed, moments = -1, random.Random(0)
    for _ in range(8):
        writer = start_writer(path, committed + 1, committed + 100_000, "killed")
        writer.stdout.readline()  # the first batch is in
        time.sleep(moments.uniform(0.0, 0.15))
        os.kill(writer.pid, signal.SIGKILL)
        said = writer.communicate()[0].split("\n")[:-1]
        committed = int(said[-1]) if said else committed + 1
        with LabelStore(path) as store:
            assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = len(store.get([f"key{n}" for n in range(committed * 8 + 24)]))
            assert kept >= (committed + 1) * 8  # what it said is there
            assert kept % 8 == 0 and sum(store.counts().values()) == kept  # whole batches, each once
            committed = kept // 8 - 1
    assert committed > 8


def test_two_processes_at_once(path):
    writers = [start_writer(path, 0, 150, "one"), start_writer(path, 100, 250, "two")]
    assert all(writer.communicate() and writer.returncode == 0 for writer in writers)
    with LabelStore(path) as store:
        answers = store.get([f"key{n}" for n in range(250 * 8)])
        assert len(answers) == 250 * 8 == sum(store.counts().values())
        assert {a.labeler for a in answers.values()} == {"one", "two"}
        assert all(answers[f"key{n}"].p == n % 10 / 10 for n in range(250 * 8))
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
