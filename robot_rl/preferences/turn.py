"""One process at a time asks a labeler through a label store: the next one then finds the answers there.

Without it two runs that begin together would each find nothing answered, and both pay for everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from robot_rl.preferences.types import Labeler

_BUSY = (BlockingIOError, PermissionError)  # what a range that another process holds raises


@contextlib.contextmanager
def turn(store: Path, labeler: Labeler, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the labeler's place in STORE.lock; where another process has it, say so and wait.

    Different labelers have different places, so that they do not wait for each other. The system frees a
    place when its process ends, however it ends. Where the file system knows no locks nothing is held.
    """
    with store.with_name(store.name + ".lock").open("ab") as file:
        place = _place(labeler)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except _BUSY:
            say(
                f"another run asks {labeler.name} through {store}; this one waits for it, then goes on with "
                "what is left"
            )
            fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
        except OSError:  # no locks here, as on some network file systems
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


def _place(labeler: Labeler) -> int:
    """A byte's offset for a labeler; two labelers that share one by chance merely wait for each other."""
    text = json.dumps([labeler.name, dict(labeler.identity)], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x3FFFFFFF
