"""Imports in a process of its own, so that a native decoder that crashes takes nothing else with it.

The parent starts `python -m robot_rl.data.importers.isolated`, says what to import as JSON, and reads lines
of JSON: what is being read, progress, and the report or the error.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robot_rl.data.disk import DiskTrouble
from robot_rl.data.importers import ImportReport, import_dataset
from robot_rl.data.staging import staging_of
from robot_rl.errors import BadInput, RobotRLError

HUNG = 120.0  # seconds without a sign of life after which a decoder does not end
BEAT = 1.0  # seconds between signs of life
Progress = Callable[[int, int], None]


def import_isolated(
    src: str | Path,
    dst: str | Path,
    *,
    on_bad: str = "raise",
    memory_gb: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ImportReport:
    """As `import_dataset`, in a process that may die: an episode that kills it counts as a broken one.

    `memory_gb` bounds the address space of that process.
    """
    crashed: dict[int, str] = {}
    while True:
        asked = {"src": str(src), "dst": os.path.abspath(dst), "on_bad": on_bad, **options}
        asked |= {"memory_gb": memory_gb, "left_out": crashed}
        outcome = _run(asked, progress or (lambda *_: None))
        if "report" in outcome:
            told = outcome["report"]
            lists = {"cameras": tuple(told["cameras"]), "notes": tuple(told["notes"])}
            return ImportReport(**{**told, **lists})
        if "disk" in outcome:
            raise DiskTrouble(outcome["disk"])
        if "bad" in outcome:
            raise BadInput(outcome["bad"])
        if "error" in outcome:
            raise RobotRLError(outcome["error"])
        index, where = outcome.get("at") or (None, str(src))
        died = f"{where}: reading it ended the process ({_how(outcome['status'])}); the file is damaged"
        if on_bad != "skip" or index is None or index in crashed:
            shutil.rmtree(staging_of(Path(asked["dst"])), ignore_errors=True)
            raise BadInput(f"{died}: fetch it again, or leave such episodes out (on_bad skip)")
        crashed[index] = died


def _run(asked: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run one child to its end; returns the last thing it said, or its status and what it was reading."""
    paths = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    outcome: dict[str, Any] = {}
    guard = _Guard(child)
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(asked))
            child.stdin.close()
        for line in child.stdout:
            guard.alive()
            said = json.loads(line)
            if "beat" in said:
                continue
            if "progress" in said:
                progress(*said["progress"])
            else:
                outcome |= said
    except BaseException:
        guard.stop()
        child.send_signal(signal.SIGINT)
        child.wait()
        raise
    child.stdout.close()
    outcome["status"] = child.wait()
    guard.stop()
    if guard.fired:
        outcome["status"] = HUNG
    if outcome["status"] == 130:
        raise KeyboardInterrupt
    return outcome


class _Guard:
    """Ends a process that gives no sign of life: a native decoder that loops lets no other thread run."""

    def __init__(self, child: subprocess.Popen):
        self._child, self.fired = child, False
        self.alive()

    def alive(self) -> None:
        """Begin to wait anew."""
        self.stop()
        self._timer = threading.Timer(HUNG, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Wait no longer."""
        if hasattr(self, "_timer"):
            self._timer.cancel()

    def _end(self) -> None:
        self.fired = True
        self._child.kill()


def _how(status: float) -> str:
    if status == HUNG:
        return f"it did not come to an end within {HUNG:g} s"
    if status == -signal.SIGKILL:
        return "killed, perhaps for want of memory"
    if status < 0:
        return signal.Signals(-status).name
    return f"status {status}"


def main() -> int:
    """Do what stdin asks for and say so on stdout."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the lines

    lock = threading.Lock()

    def say(**words: Any) -> None:
        with lock:
            said.write(json.dumps(words) + "\n")
            said.flush()

    def beat() -> None:
        while True:
            time.sleep(BEAT)
            say(beat=True)

    threading.Thread(target=beat, daemon=True).start()

    asked = json.load(sys.stdin)
    memory = asked.pop("memory_gb")
    left_out = {int(index): note for index, note in asked.pop("left_out").items()}
    if memory:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(memory * 2**30), resource.RLIM_INFINITY))
    if asked.get("resize"):
        asked["resize"] = tuple(asked["resize"])
    hooks = {
        "progress": lambda done, total: say(progress=[done, total]),
        "starting": lambda index, where: say(at=[index, where]),
    }
    try:
        say(report=asdict(import_dataset(**asked, **hooks, left_out=left_out)))
    except KeyboardInterrupt:
        return 130
    except DiskTrouble as error:
        say(disk=str(error))
    except BadInput as error:
        say(bad=str(error))
    except MemoryError:
        limit = f"the {memory:g} GB allowed (--memory)" if memory else "there is"
        say(bad=f"{asked['src']}: reading it takes more memory than {limit}; the file may be damaged")
    except RobotRLError as error:
        say(error=str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
