"""The label store: one append-only SQLite file that keeps every answer a labeler was paid for.

`run.label_pairs` reads and writes it. Rows are keyed by `Question.key`; the first answer to a
question stands. A failed attempt is recorded, with its cost, but is no answer.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences.types import Outcome, Preference

SCHEMA_VERSION = 1
_COLUMNS = [field.name for field in fields(Preference)]
# Two writers wait for each other; a batch is written in milliseconds, so this is ample.
_BUSY_SECONDS = 60.0
_SWITCH_SECONDS = 5.0
# File systems of several machines, which share no memory for WAL's index; fuse.sshfs counts as sshfs.
_NETWORK = {
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "sshfs", "lustre", "gpfs", "beegfs", "ceph",
    "cephfs", "glusterfs", "afs", "ncpfs", "ocfs2", "gfs2", "pvfs2", "orangefs", "davfs", "davfs2",
    "rclone", "s3fs", "gcsfuse", "juicefs"
}  # fmt: skip
_NO_SPACE = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")
_OCTAL = re.compile(r"\\([0-7]{3})")

# The trigger `keep_first` is there because INSERT OR REPLACE by any program would otherwise delete
# a row without the trigger `no_delete` being asked.
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS labels (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    written REAL NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('preference', 'tie', 'cannot_tell', 'failed')),
    p REAL CHECK (p BETWEEN 0 AND 1),
    labeler TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    "order" TEXT NOT NULL CHECK ("order" IN ('given', 'swapped')),
    rationale TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    cost REAL NOT NULL,
    latency REAL NOT NULL,
    error TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_answer ON labels (key) WHERE outcome != 'failed';
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON labels
    BEGIN SELECT RAISE(ABORT, 'the label store is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON labels
    BEGIN SELECT RAISE(ABORT, 'the label store is append-only'); END;
CREATE TRIGGER IF NOT EXISTS keep_first BEFORE INSERT ON labels
    WHEN EXISTS (SELECT 1 FROM labels WHERE id = NEW.id)
      OR (NEW.outcome != 'failed'
          AND EXISTS (SELECT 1 FROM labels WHERE key = NEW.key AND outcome != 'failed'))
    BEGIN SELECT RAISE(IGNORE); END;
"""


class LabelStore:
    """Answers by content key, safe against a kill at any moment and against a second run at once.

    Opens or creates the file at `path`; raises BadInput where that is no label store or a newer one, and
    RobotRLError where the disk is full. `notes` are lines for the user; `mounts` is the text of
    /proc/self/mounts.
    """

    def __init__(self, path: str | Path, mounts: str | None = None) -> None:
        self.path = Path(path)
        kind = file_system(self.path, mounts)
        self._is_shared = kind.split(".")[-1] in _NETWORK
        self.notes: tuple[str, ...] = ()
        if self._is_shared:
            self.notes = (
                f"{self.path}: lies on a network file system ({kind}), where SQLite's WAL is not safe; the "
                "rollback journal is used, which is slower: let one machine at a time label with it",
            )
        if self.path.is_dir():
            raise BadInput(f"{self.path}: is a folder; a label store is one file, e.g. labels.sqlite in it")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        except (OSError, sqlite3.OperationalError) as error:
            raise BadInput(f"{self.path}: cannot open a label store here: {error}") from error
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise _explained(self.path, error) from error
        except BadInput:
            self._db.close()
            raise

    def _open(self) -> None:
        """Check whose file this is before anything in it is changed, then set it up."""
        if self._is_shared:  # keeps a WAL's index, if there is one, out of a file on the network
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # journal_mode is written into the file, so it must wait until the file is known to be ours.
        self._check_version()
        self._set_journal()
        self._db.execute("PRAGMA locking_mode = NORMAL")
        with self._transaction():
            for statement in _statements(_SCHEMA):
                self._db.execute(statement)
        self._check_version()

    def _check_version(self) -> None:
        """Refuse another program's database or a newer schema; a new, empty file passes."""
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return
        if not {"meta", "labels"} <= tables:
            raise BadInput(f"{self.path}: an SQLite file, but not a label store (no tables meta and labels)")
        row = self._db.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
        if row is None or not row[0].isdigit():
            raise BadInput(f"{self.path}: its table meta names no schema_version; it is no label store")
        if int(row[0]) > SCHEMA_VERSION:
            raise BadInput(
                f"{self.path}: label store version {row[0]} is newer than version {SCHEMA_VERSION}, "
                "the newest that this robot-rl reads; upgrade robot-rl"
            )

    def _set_journal(self) -> None:
        """Choose WAL, or the rollback journal where the file system cannot carry WAL.

        Leaving WAL first moves all answers from it into the file.
        """
        if self._is_shared or self._switch("WAL") != "wal":
            mode = self._switch("DELETE")
            if mode != "delete":
                raise BadInput(
                    f"{self.path}: is open in another process, with a journal that is not safe on a network "
                    "file system; end that one first"
                )
        self._db.execute("PRAGMA synchronous = FULL")  # answers cost money: keep them over a power cut too

    def _switch(self, mode: str) -> str:
        """Ask for a journal mode; returns the one there is then."""
        end = time.monotonic() + _SWITCH_SECONDS
        while True:
            try:
                return self._db.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
            except sqlite3.OperationalError as error:
                # The switch itself does not wait for a second opener, whatever the busy time-out.
                if "locked" not in str(error) or time.monotonic() > end:
                    return ""
                time.sleep(0.05)

    @contextlib.contextmanager
    def _transaction(self):
        """All or nothing; takes the write lock first, so that two writers queue and never deadlock."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise

    def get(self, keys: Iterable[str]) -> dict[str, Preference]:
        """Return the answers there are to these keys; failed attempts are not among them."""
        keys = list(dict.fromkeys(keys))
        found = {}
        for start in range(0, len(keys), 500):  # SQLite bounds the number of ? in one statement
            some = keys[start : start + 500]
            rows = self._db.execute(
                f"SELECT key, {_names()} FROM labels WHERE outcome != 'failed' "
                f"AND key IN ({','.join('?' * len(some))})",
                some,
            )
            found.update({row[0]: Preference(**dict(zip(_COLUMNS, row[1:], strict=True))) for row in rows})
        return found

    def put(self, records: Mapping[str, Preference], sync: bool = True) -> None:
        """Append answers by key in one transaction; a key that has an answer keeps it.

        What was put outlives this process, however it ends. With `sync`, it and all that was put before
        outlives a power cut as well. Raises RobotRLError where the disk is full: nothing of it is put then.
        """
        now = time.time()
        marks = ",".join("?" * (len(_COLUMNS) + 2))
        rows = [(key, now, *_row(answer)) for key, answer in records.items()]
        self._db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        try:
            with self._transaction():
                self._db.executemany(
                    f"INSERT INTO labels (key, written, {_names()}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                    rows,
                )
        except sqlite3.OperationalError as error:
            raise _explained(self.path, error) from error

    def sync(self) -> None:
        """Make what was put with sync=False outlive a power cut."""
        # Closing the file itself here would drop the locks that SQLite has on it; without a WAL it is synced.
        wal = self.path.with_name(self.path.name + "-wal")
        with contextlib.suppress(FileNotFoundError), wal.open("rb") as file:
            os.fsync(file.fileno())

    def counts(self) -> dict[Outcome, int]:
        """Count the rows of each outcome; every failed attempt counts as one."""
        rows = dict(self._db.execute("SELECT outcome, COUNT(*) FROM labels GROUP BY outcome"))
        return {outcome: rows.get(outcome.value, 0) for outcome in Outcome}

    def totals(self) -> tuple[float, int]:
        """Sum what was spent, failed attempts included: (cost in USD, tokens)."""
        return self._db.execute("SELECT TOTAL(cost), COALESCE(SUM(tokens), 0) FROM labels").fetchone()

    def close(self) -> None:
        """Close the file; all that was put is in it already."""
        self._db.close()

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _names() -> str:
    """The preference's columns as SQL; `order` is a word of SQL's own."""
    return ", ".join(f'"{name}"' for name in _COLUMNS)


def _row(answer: Preference) -> list:
    """The preference's values in column order, as SQLite stores them."""
    values = asdict(answer) | {"outcome": answer.outcome.value}
    return [values[name] for name in _COLUMNS]


def _statements(script: str) -> list[str]:
    """Split a script, since `executescript` would commit the transaction that is open."""
    found, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found


def file_system(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that a path lies on, such as ext4, nfs4 or fuse.sshfs; "" if unknown."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(errors="replace")
        except OSError:
            return ""
    folder, found, kind = os.path.realpath(path.parent), "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[1])  # a blank is written as \040
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(found):  # of two on one folder, the later one is seen
            found, kind = point, fields[2]
    return kind


def _explained(path: Path, error: sqlite3.DatabaseError) -> RobotRLError:
    """Turn SQLite's complaint into one line that names the file."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL") or name in _NO_SPACE:
        return RobotRLError(
            f"{path}: the disk is full, or a limit on file sizes is reached ({error}); what was stored "
            "before is whole: free some space, and the same command goes on"
        )
    if name.startswith("SQLITE_BUSY"):
        return RobotRLError(
            f"{path}: another process has held this label store for {_BUSY_SECONDS:.0f} s ({error}); end it, "
            "and the same command goes on"
        )
    if name.startswith("SQLITE_NOTADB"):
        return BadInput(f"{path}: is not a label store (not an SQLite file); give another path")
    if name.startswith("SQLITE_CORRUPT"):
        return BadInput(f"{path}: this label store is damaged ({error}); restore a copy or move it away")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return BadInput(f"{path}: cannot be written ({error}); the file and its folder must be writable")
    return RobotRLError(f"{path}: the label store cannot be used: {error}")
