"""Errors a user can act on: each message is one line that names the thing, the rule and the remedy."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType


class RobotRLError(Exception):
    """Something failed that is not the user's input; the command line exits with status 1."""


class BadInput(RobotRLError):
    """The user's input breaks a rule; the command line prints one line and exits with status 2."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Say which known name is closest to `name` and list them all, nearest first."""
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    return f"{guess} Known: {', '.join(close + [k for k in known if k not in close]) or '(none)'}."


def need(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise _missing(module, extra) from error


def need_installed(module: str, extra: str) -> None:
    """Say which extra brings an optional module if it is not there; it is not imported."""
    # Importing here could come before what must precede it: mujoco chooses its renderer at its import.
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise _missing(module, extra)


def _missing(module: str, extra: str) -> BadInput:
    return BadInput(
        f"module '{module}' is not installed; it belongs to the extra '{extra}': "
        f'pip install "robot-rl[{extra}]"'
    )
