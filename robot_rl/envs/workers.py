"""Worker processes: fresh ones, because a forked OpenGL context does not work, and quiet at Ctrl-C."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.pool import Pool


def worker_pool(workers: int) -> Pool:
    """Make a pool to use in a `with`, whose end stops the workers, also after Ctrl-C in the main process."""
    return multiprocessing.get_context("spawn").Pool(max(1, workers), initializer=_leave_interrupts_to_main)


def _leave_interrupts_to_main() -> None:
    # The terminal sends Ctrl-C to every process; a traceback from each worker would bury the main one's line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
