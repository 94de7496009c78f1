"""One process at a time in one place of a folder: the claim ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from robot_rl.errors import BadInput


class Claim:
    """Holds FOLDER/.NAME.lock until `release`, or until this process is gone."""

    def __init__(self, folder: Path, name: str) -> None:
        """Take the claim; raises BadInput where another process has it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f".{name}.lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "?"
            self._file.close()
            raise BadInput(
                f"{folder}: another process (id {holder}) is its {name} already; end it first"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let another process have it."""
        self._file.close()
