"""Executed transitions on their way from the robot's process to the learner's: a queue that loses nothing.

One SQLite file in WAL mode, append-only: what `append` has returned for outlives a kill of either process (a
power cut may take the last moments). Identities count from 1 without gaps, so that counts can be compared and
a reader needs to remember one number.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robot_rl.deploy.recording import free_mb
from robot_rl.errors import BadInput, RobotRLError

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, episode INTEGER NOT NULL, task TEXT NOT NULL,
    weights INTEGER NOT NULL, stamp REAL NOT NULL, reward REAL NOT NULL, success REAL NOT NULL,
    terminated INTEGER NOT NULL, truncated INTEGER NOT NULL, intervention INTEGER NOT NULL,
    ended TEXT NOT NULL, numbers BLOB NOT NULL, crc INTEGER NOT NULL);
"""
_COLUMNS = (
    "episode", "task", "weights", "stamp", "reward", "success", "terminated", "truncated", "intervention",
    "ended", "numbers", "crc",
)  # fmt: skip
_INSERT = f"INSERT INTO transitions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


class QueueFull(RobotRLError):
    """The disk took no more; nothing was lost, and the same `append` works once there is room."""


@dataclass(frozen=True)
class Executed:
    """One executed transition, in the policy's units, and under what it was executed."""

    episode: int
    task: str  # of the instruction
    observation: np.ndarray  # (S,) float32, as the policy saw it
    action: np.ndarray  # (A,) float32, as executed: an intervention's where there was one
    reward: float
    next_observation: np.ndarray  # (S,) float32, under the same instruction
    terminated: bool = False
    truncated: bool = False  # a time-out, a switch of the task, or another cut
    success: float = 0.0  # probability that the goal is reached afterwards
    intervention: bool = False
    weights: int = 0  # version in the weights' ledger; 0 where no policy acted
    stamp: float = 0.0  # s, of the clock that paces the robot
    ended: str = ""  # why the episode ended with it

    @property
    def last(self) -> bool:
        """Whether it is its episode's last."""
        return self.terminated or self.truncated


@dataclass(frozen=True)
class Try:
    """One episode in the queue."""

    last: int  # identity of its last transition
    task: str
    weights: int  # version it began with
    steps: int
    intervened: int  # steps under a person's command
    seconds: float
    ended: str  # why; "broken" where its process was killed, or where it still goes on


class DurableQueue:
    """Appends transitions for one reader or several in other processes; one process writes."""

    def __init__(
        self,
        path: Path,
        state_names: Sequence[str],
        action_names: Sequence[str],
        *,
        min_free: float = 50.0,
        free: Callable[[Path], float] = free_mb,
    ) -> None:
        """Open the file, or begin it; raises BadInput for one with other parts of state or action.

        `room` is false while less than `min_free` MB are `free`.
        """
        self.path, self._min_free, self._free = Path(path), min_free, free
        self._sizes = len(state_names), len(action_names)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._claim(
                {"format": str(_FORMAT), "state": ",".join(state_names), "action": ",".join(action_names)}
            )
        except sqlite3.DatabaseError as error:
            raise BadInput(
                f"{self.path} is not a queue of transitions ({error}); choose another folder"
            ) from error

    def _claim(self, about: dict[str, str]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", about.items())
        found = dict(self._db.execute("SELECT name, value FROM about"))
        for name, value in about.items():
            if found.get(name) != value:
                raise BadInput(
                    f"{self.path}: {name} is '{found.get(name)}', not '{value}'; choose another folder"
                )

    def room(self) -> str:
        """Why no transition may be executed now, or "": look before each step."""
        if self._free(self.path.parent) < self._min_free:
            return f"less than {self._min_free:g} MB are free for {self.path}; make room, and it goes on"
        return ""

    def append(self, step: Executed) -> int:
        """Store one transition, and return its identity; raises QueueFull where the disk takes no more.

        Raises RobotRLError for numbers that are not finite or of another size.
        """
        numbers = self._pack(step)
        row = (
            step.episode, step.task, step.weights, step.stamp, step.reward, step.success,
            int(step.terminated), int(step.truncated), int(step.intervention), step.ended, numbers,
            zlib.crc32(numbers),
        )  # fmt: skip
        before = self.count()
        try:
            return int(self._db.execute(_INSERT, row).lastrowid)
        except sqlite3.OperationalError as error:
            if self.count() > before:  # stored, and failed only at what follows a commit
                return before + 1
            raise QueueFull(f"{self.path} takes no more ({error}); make room, and it goes on") from error

    def _pack(self, step: Executed) -> bytes:
        states, actions = self._sizes
        parts = {"observation": states, "action": actions, "next_observation": states}
        arrays = []
        for name, size in parts.items():
            array = np.asarray(getattr(step, name), "<f4")
            if array.shape != (size,):
                raise RobotRLError(f"{name} of an executed step has shape {array.shape}, not ({size},)")
            arrays.append(array)
        numbers = np.concatenate(arrays)
        if not np.isfinite([*numbers, step.reward, step.success]).all():
            raise RobotRLError(
                "an executed step holds a number that is not finite; check where it comes from"
            )
        return numbers.tobytes()

    def count(self) -> int:
        """How many transitions it holds."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM transitions").fetchone()[0])

    def next_episode(self) -> int:
        """A number for an episode that none before has."""
        return int(self._db.execute("SELECT coalesce(max(episode), -1) + 1 FROM transitions").fetchone()[0])

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Executed]]:
        """The transitions behind `after` of which is known what follows, with their identities.

        A newest one that goes on is held back until the next is there. Where its process was killed in the
        middle of an episode, the next has another episode, and the one before is given as cut ("broken").
        Raises RobotRLError for a damaged file.
        """
        rows = self._rows(after, limit + 1)
        found = []
        for place, (id_, step) in enumerate(rows[:limit]):
            if not step.last:
                if place + 1 == len(rows):
                    break
                if rows[place + 1][1].episode != step.episode:
                    step = replace(step, truncated=True, ended="broken")
            found.append((id_, step))
        return found

    def _rows(self, after: int, limit: int) -> list[tuple[int, Executed]]:
        query = f"SELECT id, {', '.join(_COLUMNS)} FROM transitions WHERE id > ? ORDER BY id LIMIT ?"
        found = []
        for place, (id_, *row) in enumerate(self._db.execute(query, (after, limit)), 1):
            *values, numbers, crc = row
            if id_ != after + place or zlib.crc32(numbers) != crc:
                raise RobotRLError(f"{self.path}: transition {after + place} is missing or damaged")
            found.append((id_, self._unpack(values, numbers)))
        return found

    def _unpack(self, values: Sequence, numbers: bytes) -> Executed:
        states, actions = self._sizes
        array = np.frombuffer(numbers, "<f4").astype(np.float32)
        observation, action, following = np.split(array, [states, states + actions])
        named = dict(zip(_COLUMNS, values, strict=False))
        for name in ("terminated", "truncated", "intervention"):
            named[name] = bool(named[name])
        return Executed(observation=observation, action=action, next_observation=following, **named)

    def tries(self) -> list[Try]:
        """The tries, in order: one for each episode."""
        rows = self._db.execute(
            "SELECT max(id), task, weights, count(*), sum(intervention), max(stamp) - min(stamp), episode "
            "FROM transitions GROUP BY episode ORDER BY episode"
        ).fetchall()
        why = dict(self._db.execute("SELECT episode, ended FROM transitions WHERE ended != ''"))
        return [Try(*row[:6], ended=why.get(row[6], "broken")) for row in rows]

    def rewind(self, count: int) -> None:
        """Forget what came after the first `count`: only for a simulated world that goes back as well."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM transitions WHERE id > ?", (count,))
        self._db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'transitions'", (count,))
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
