"""The label store: one append-only SQLite file that keeps every answer a labeler was paid for.

`run.label_pairs` reads and writes it. Rows are keyed by `Question.key`; the first answer to a
question stands. A failed attempt is recorded, with its cost, but is no answer.
"""

from __future__ import annotations

import contextlib
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

    Opens or creates the file at `path`; raises BadInput where that is no label store or a newer one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
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
        # journal_mode is written into the file, so it must wait until the file is known to be ours.
        self._check_version()
        self._set_journal()
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
        """Choose WAL, or the rollback journal where the file system cannot carry WAL."""
        for attempt in range(100):
            try:
                mode = self._db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                # The switch itself does not wait for a second opener, whatever the busy time-out.
                if "locked" not in str(error) or attempt == 99:
                    mode = ""
                    break
                time.sleep(0.05)
        if mode != "wal":
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.execute("PRAGMA synchronous = FULL")  # answers cost money: keep them over a power cut too

    @contextlib.contextmanager
    def _transaction(self):
        """All or nothing; takes the write lock first, so that two writers queue and never deadlock."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

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

    def put(self, records: Mapping[str, Preference]) -> None:
        """Append answers by key in one transaction; a key that has an answer keeps it."""
        now = time.time()
        marks = ",".join("?" * (len(_COLUMNS) + 2))
        rows = [(key, now, *_row(answer)) for key, answer in records.items()]
        with self._transaction():
            self._db.executemany(
                f"INSERT INTO labels (key, written, {_names()}) VALUES ({marks}) ON CONFLICT DO NOTHING", rows
            )

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


def _explained(path: Path, error: sqlite3.DatabaseError) -> RobotRLError:
    """Turn SQLite's complaint at opening into one line that names the file."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_NOTADB"):
        return BadInput(f"{path}: is not a label store (not an SQLite file); give another path")
    if name.startswith("SQLITE_CORRUPT"):
        return BadInput(f"{path}: this label store is damaged ({error}); restore a copy or move it away")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return BadInput(f"{path}: cannot be written ({error}); the file and its folder must be writable")
    return RobotRLError(f"{path}: the label store could not be opened: {error}")
