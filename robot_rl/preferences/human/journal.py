"""The journal of one rater: a file of JSON lines that an answer is in before the page shows it as given.

It lies beside the label store and holds what can still be undone; a run that was killed reads it back.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robot_rl.errors import BadInput
from robot_rl.preferences.human.history import History
from robot_rl.preferences.types import Preference

VERSION = 1
_Event = tuple[str, Preference | None]  # a key with its answer, or with None where that was undone


def journal_path(store: Path, rater: str) -> Path:
    """Where the journal of a rater lies, beside the label store."""
    return store.with_name(f"{store.name}.human-{rater}.jsonl")


class Journal:
    """Appends answers and undos, each on disk when the call returns.

    Opens or creates the file and holds it against a second run; raises BadInput where another run has it,
    where it cannot be written and where it is damaged before its last line, which a kill may cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from error
        try:
            self._lock()
            self._events = self._read()
            if os.fstat(self._file).st_size == 0:
                self._append({"version": VERSION})
                _sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def replay(self, history: History, skip: Callable[[str], bool]) -> None:
        """Do again what the file tells, but for answers that `skip` names, such as stored ones."""
        for key, answer in self._events:
            if skip(key):
                continue
            if answer is not None:
                history.add(key, answer)
            elif history.last == key:
                history.undo()

    def add(self, key: str, answer: Preference) -> None:
        """Write an answer down."""
        default = asdict(Preference(answer.outcome, answer.p, error=answer.error))
        said = {name: value for name, value in asdict(answer).items() if value != default[name]}
        self._append({"key": key, "outcome": answer.outcome.value, "p": answer.p, **said})

    def undo(self, key: str) -> None:
        """Write down that the last answer, which is to this question, was taken back."""
        self._append({"undo": key})

    def close(self) -> None:
        """Close the file and let another run have it; closing twice does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Delete the file, whose answers are in the label store, and close it."""
        self.path.unlink(missing_ok=True)  # first, so that no other run can take the lock and lose its file
        self.close()

    def _lock(self) -> None:
        taken = BadInput(f"{self.path}: another run is using it; end that one, or choose other raters")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._file).st_ino != self.path.stat().st_ino:
                raise taken  # that run has ended and deleted the file between our opening and locking it
        except OSError as error:
            raise taken from error

    def _append(self, record: dict[str, Any]) -> None:
        """Write one line and wait for the disk; a line that fails half-way is taken out again."""
        size = os.fstat(self._file).st_size
        data = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def _read(self) -> list[_Event]:
        """Read all whole lines; cut off a last one that a kill has left unfinished."""
        lines = self.path.read_bytes().split(b"\n")
        unfinished = lines.pop()  # empty where the last line is whole
        events, size = [], 0
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                if "version" in record:
                    self._check(record["version"])
                else:
                    events.append(_event(record))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                if number == len(lines) and not unfinished:
                    break
                raise BadInput(
                    f"{self.path}: line {number} is no answer; take that line out, or move the file away"
                ) from error
            size += len(line) + 1
        os.ftruncate(self._file, size)
        return events

    def _check(self, version: Any) -> None:
        if version != VERSION:
            raise BadInput(
                f"{self.path}: is of version {version}, this robot-rl reads version {VERSION}; upgrade it"
            )


def _event(record: dict[str, Any]) -> _Event:
    """Read one line; raises ValueError, TypeError or KeyError where it is no answer."""
    if "undo" in record:
        return str(record["undo"]), None
    key = str(record.pop("key"))
    try:
        return key, Preference(**record)
    except BadInput as error:
        raise ValueError(str(error)) from error


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
