"""The policies that a learner gives out while a robot practises: which is tried, which is best, which is bad.

A folder of checkpoints, weights/v000012, and an SQLite file beside them that several processes share. The
robot acts with the newest version that was not found worse than the best; `best/` is deployable at any time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from robot_rl.deploy.verdict import Judging, Tally, Verdict
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import SPEC, WEIGHTS, write_atomically

FOLDER, FILE, BEST = "weights", "ledger.sqlite", "best"
STATUSES = ("candidate", "passed", "best", "rejected")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    version INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL, status TEXT NOT NULL,
    stamp REAL NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER NOT NULL, source TEXT NOT NULL, task TEXT NOT NULL,
    tries INTEGER NOT NULL, successes INTEGER NOT NULL, stamp REAL NOT NULL);
"""


@dataclass(frozen=True)
class Version:
    """One set of weights that was given out."""

    number: int  # from 1
    step: int  # of the learner, in transitions
    status: str  # one of STATUSES: candidate until judged; best: judged the best so far
    stamp: float  # s since 1970


class WeightsLedger:
    """The versions of one run: the learner publishes, the robot asks for the current, a judge settles."""

    def __init__(self, root: Path, kept: int = 5) -> None:
        """Open or begin in the run's folder `root`; the newest `kept` versions and the best stay on disk."""
        self.root, self._kept = Path(root), kept
        (self.root / FOLDER).mkdir(parents=True, exist_ok=True)
        path = self.root / FOLDER / FILE
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise BadInput(f"{path} is not a ledger of weights ({error}); choose another folder") from error

    def folder(self, version: int) -> Path:
        """Where a version's checkpoint lies."""
        return self.root / FOLDER / f"v{version:06d}"

    def publish(self, step: int, write: Callable[[Path], object]) -> int:
        """Give out new weights, which `write` puts into a folder; returns the version.

        A version that is listed is whole: it is written under another name, then renamed, then listed.
        """
        number = int(self._db.execute("SELECT coalesce(max(version), 0) + 1 FROM versions").fetchone()[0])
        target, temporary = self.folder(number), self.root / FOLDER / f".tmp-v{number:06d}"
        for leftover in (target, temporary):  # of a learner that was killed before it was listed
            shutil.rmtree(leftover, ignore_errors=True)
        write(temporary)
        os.rename(temporary, target)
        status = "candidate" if self.best() else "best"
        if status == "best":
            self._copy_to_best(target)
        self._db.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", (number, step, status, time.time()))
        self._prune()
        return number

    def current(self) -> Version | None:
        """What the robot acts with: the newest version that is not rejected."""
        return self._one("status != 'rejected' ORDER BY version DESC")

    def best(self) -> Version | None:
        """The best so far; the first one until others are judged."""
        return self._one("status = 'best' ORDER BY version DESC")

    def newest(self) -> Version | None:
        """The last one given out."""
        return self._one("1 ORDER BY version DESC")

    def to_judge(self, source: str = "evaluation") -> Version | None:
        """The newest version if nobody has judged it yet; older candidates are overtaken.

        The first version is the best without a trial, and is to be judged as well, so that others compare.
        """
        newest = self.newest()
        if newest is None or newest.status not in ("candidate", "best"):
            return None
        untried = newest.status == "best" and not self.tally(newest.number, source)
        return newest if newest.status == "candidate" or untried else None

    def rejected_in_a_row(self) -> int:
        """How many of the newest judged versions were found worse than the best, in a row."""
        rows = self._db.execute(
            "SELECT status FROM versions WHERE status != 'candidate' ORDER BY version DESC"
        )
        count = 0
        for (status,) in rows:
            if status != "rejected":
                break
            count += 1
        return count

    def versions(self) -> list[Version]:
        """All, in order."""
        rows = self._db.execute("SELECT version, step, status, stamp FROM versions ORDER BY version")
        return [Version(*row) for row in rows]

    def note(self, version: int, tally: Tally, source: str = "evaluation") -> None:
        """Add tries of a version: of an "evaluation" in a separate world, or the robot's own ("practice")."""
        for task, (tries, successes) in tally.items():
            if not 0 <= successes <= tries:
                raise BadInput(f"version {version}, {task}: {successes} successes of {tries} tries cannot be")
        rows = [(version, source, task, *counts, time.time()) for task, counts in tally.items()]
        columns = "(version, source, task, tries, successes, stamp)"
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(f"INSERT INTO trials {columns} VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def tally(self, version: int, source: str = "evaluation") -> Tally:
        """Task -> (tries, successes) of a version."""
        rows = self._db.execute(
            "SELECT task, sum(tries), sum(successes) FROM trials WHERE version = ? AND source = ? "
            "GROUP BY task",
            (version, source),
        )
        return {task: (int(tries), int(successes)) for task, tries, successes in rows}

    def source(self) -> str:
        """What says how good weights are: "evaluation" where a separate world judged any, else "practice"."""
        row = self._db.execute("SELECT count(*) FROM trials WHERE source = 'evaluation'").fetchone()
        return "evaluation" if row[0] else "practice"

    def settle(self, version: int, verdict: Verdict) -> str:
        """Write down what was found of a candidate; returns its status. "better" makes it the best."""
        status = {"better": "best", "worse": "rejected", "same": "passed"}[verdict]
        if status == "best":
            self._copy_to_best(self.folder(version))
        self._db.execute("BEGIN IMMEDIATE")
        if status == "best":
            self._db.execute("UPDATE versions SET status = 'passed' WHERE status = 'best'")
        self._db.execute("UPDATE versions SET status = ? WHERE version = ?", (status, version))
        self._db.execute("COMMIT")
        return status

    def keep(self, path: Path) -> None:
        """Copy the ledger, without the folders, into a file of its own."""
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as copy:
            self._db.backup(copy)
        copy.close()

    def go_back(self, path: Path) -> None:
        """Become what `keep` wrote, with best/ as it was then."""
        with sqlite3.connect(path) as copy:
            copy.backup(self._db)
        copy.close()
        if best := self.best():
            self._copy_to_best(self.folder(best.number))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _one(self, where: str) -> Version | None:
        row = self._db.execute(f"SELECT version, step, status, stamp FROM versions WHERE {where} LIMIT 1")
        found = row.fetchone()
        return Version(*found) if found else None

    def _copy_to_best(self, source: Path) -> None:
        """Bring best/ up to date, policy.json last, whose hash tells a reader that all belongs together."""
        best = self.root / BEST
        best.mkdir(exist_ok=True)
        for name in (WEIGHTS, SPEC):
            write_atomically(best / name, (source / name).read_bytes())

    def _prune(self) -> None:
        """Remove the folders of old versions; they stay listed."""
        keep = {self.folder(v.number).name for v in self.versions()[-self._kept :]}
        if best := self.best():
            keep.add(self.folder(best.number).name)
        for path in (self.root / FOLDER).glob("v*"):
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def settle_by_practice(ledger: WeightsLedger, judging: Judging, tasks: tuple[str, ...]) -> str:
    """On a robot without a simulator: judge versions by its own tries; call it after each.

    The newest is judged once it has enough: `judging.tries` of each task, or twice as many of any, as where
    one task never succeeds the other never gets a try that counts. One that newer weights overtook is judged
    by what it had, and does not become the best by too little. Returns what was found last, or "".
    """
    found, newest = "", ledger.newest()
    for version in ledger.versions():
        tally = ledger.tally(version.number, "practice") if version.status == "candidate" else {}
        many = sum(tries for tries, _ in tally.values()) >= 2 * len(tasks) * judging.tries
        enough = many or judging.ready(tally, tasks)
        if not tally or (version.number == newest.number and not enough):
            continue
        verdict = judging(tally, ledger.tally(ledger.best().number, "practice"))
        found = ledger.settle(version.number, "same" if verdict == "better" and not enough else verdict)
    return found


def shares(tally: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Task -> success rate of a tally; tasks without tries are left out."""
    return {task: successes / tries for task, (tries, successes) in tally.items() if tries}
