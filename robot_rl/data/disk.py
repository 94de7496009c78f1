"""Turns what a full, read-only or forbidden disk raises into one line that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robot_rl.errors import BadInput

_REMEDY = {
    errno.ENOSPC: "free space or choose a folder on another disk",
    errno.EDQUOT: "your quota is used up; free space or choose a folder on another disk",
    errno.EFBIG: "files of this size are not allowed here; raise the limit or choose another disk",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "you may not write there; choose another folder or change its permissions",
    errno.EPERM: "you may not write there; choose another folder or change its permissions",
    errno.ENOTDIR: "a file is in the way of a folder; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
# What libraries that lose the number say.
_TEXTS = {
    "No space left": errno.ENOSPC,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Disk quota exceeded": errno.EDQUOT,
}


class DiskTrouble(BadInput):
    """The disk did not take what was written; what is closed already is kept."""


@contextmanager
def disk_trouble(path: Path, kept: str = "nothing was changed") -> Iterator[None]:
    """Raise DiskTrouble naming `path`, the reason, the remedy and what is `kept`; other errors pass."""
    try:
        yield
    except OSError as error:
        number = trouble(error)
        if number is None:
            raise
        reason = error.strerror or " ".join(str(error).split())
        at = error.filename if isinstance(error.filename, str) else path
        raise DiskTrouble(f"{at}: cannot be written ({reason}): {_REMEDY[number]}; {kept}") from error


def trouble(error: OSError) -> int | None:
    """The errno of a disk's refusal, None for anything else."""
    if error.errno in _REMEDY:
        return error.errno
    text = str(error)
    return next((number for words, number in _TEXTS.items() if words in text), None)
