"""Where the real recordings lie that some tests read in place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("ROBOT_RL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real(name: str) -> Path:
    """The recording `name`, or skip the test where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"real recording {name} is absent; set ROBOT_RL_DATA to the folder that holds it")
    return path
