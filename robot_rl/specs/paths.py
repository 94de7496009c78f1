"""Finds the folders that a user edits (sim, datasets, launch, ros_ws/src) and the cache folder.

In a checkout they lie beside the package, in an installed wheel inside it.
"""

from __future__ import annotations

import os
from pathlib import Path

from robot_rl.errors import BadInput, nearest

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = ("sim", "datasets", "launch", "ros_ws")


def outside(*parts: str) -> Path:
    """Return the path of `parts` below the outside folders, e.g. outside("sim", "tasks").

    Raises BadInput where the first part is no such folder or nothing is there.
    """
    if not parts or parts[0] not in _FOLDERS:
        raise BadInput(
            f"no folder '{'/'.join(parts)}' comes with robot-rl.{nearest((*parts, '')[0], _FOLDERS)}"
        )
    root = _root()
    path = root.joinpath(*parts)
    if not path.exists():
        raise BadInput(f"{path}: not found; it should have come with this copy of robot-rl")
    return path


def cache_dir() -> Path:
    """Return the folder for what can be computed or fetched again: $ROBOT_RL_CACHE or ~/.cache/robot_rl."""
    return Path(os.environ.get("ROBOT_RL_CACHE") or "~/.cache/robot_rl").expanduser()


def _root(package: Path = _PACKAGE) -> Path:
    """Return the folder that holds the outside folders; raises BadInput where there is none."""
    checkout = package.parent
    # A stranger's pyproject.toml beside site-packages must not count, hence the look for sim/ as well.
    if (checkout / "pyproject.toml").is_file() and (checkout / "sim").is_dir():
        return checkout
    if (package / "_outside").is_dir():
        return package / "_outside"
    raise BadInput(
        f"the folders {', '.join(_FOLDERS)} are neither beside {package} (a checkout) nor in "
        f"{package / '_outside'} (a wheel); install robot-rl again"
    )
