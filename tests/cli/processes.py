"""Runs robot-rl as a process of its own, to kill it or to look at all that it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

COMMAND = "import sys; from robot_rl.cli.main import main; sys.exit(main(sys.argv[1:]))"


def run(*args: object, first: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line to its end; `first` is Python to run before it."""
    command = [sys.executable, "-c", first + COMMAND, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def kill_when(reached: Callable[[], bool], *args: object, seconds: float = 60) -> bool:
    """Start a command line, kill it and its children once `reached`; returns whether it came so far."""
    command = [sys.executable, "-c", COMMAND, *map(str, args)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command, **silent, start_new_session=True)
    end, came = time.monotonic() + seconds, False
    while not came and child.poll() is None and time.monotonic() < end:
        came = reached()
        time.sleep(0.01)
    killed = child.poll() is None
    os.killpg(child.pid, signal.SIGKILL) if killed else None
    child.wait()
    return came and killed
