"""Checksums of a dataset's files: written when it is made, checked when it is copied into another.

meta/SHA256SUMS has the form of the `sha256sum` command, so `sha256sum -c meta/SHA256SUMS` checks it too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from robot_rl.data import layout
from robot_rl.errors import BadInput

SUMS = "meta/SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(root: Path, known: Mapping[str, str] | None = None) -> None:
    """Write the sums of all files below `root`; `known` has those of linked files by relative path."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p != root / SUMS)
    names = [path.relative_to(root).as_posix() for path in files]
    sums = [(known or {}).get(name) or sha256(path) for name, path in zip(names, files, strict=True)]
    lines = [f"{digest}  {name}\n" for name, digest in zip(names, sums, strict=True)]
    (root / SUMS).parent.mkdir(parents=True, exist_ok=True)
    (root / SUMS).write_text("".join(lines), encoding="utf-8")


def read_checksums(root: Path) -> dict[str, str]:
    """The sums written for the dataset at `root` by relative path; none where there is no such file."""
    path = root / SUMS
    if not path.exists():
        return {}
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); fetch it again or remove it") from error
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if not match:
            raise BadInput(f"{path}: line {number} is no checksum and path; fetch it again or remove it")
        found[match[2]] = match[1]
    return found


def verify(root: Path) -> None:
    """Raise BadInput that names the first file at `root` that is not as it was written; absent ones pass."""
    for name, digest in read_checksums(root).items():
        path = layout.inside(root, name, str(root / SUMS))
        if path.is_file() and sha256(path) != digest:
            raise BadInput(
                f"{path} differs from its checksum in {SUMS}; fetch it again, or remove {SUMS} "
                "where the change was meant"
            )
