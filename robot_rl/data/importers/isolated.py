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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robot_rl.data.disk import DiskTrouble
from robot_rl.data.importers import ImportReport, import_dataset
from robot_rl.data.staging import staging_of
from robot_rl.errors import BadInput, RobotRLError

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
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(asked))
            child.stdin.close()
        for line in child.stdout:
            said = json.loads(line)
            if "progress" in said:
                progress(*said["progress"])
            else:
                outcome |= said
    except BaseException:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise
    child.stdout.close()
    outcome["status"] = child.wait()
    if outcome["status"] == 130:
        raise KeyboardInterrupt
    return outcome


def _how(status: int) -> str:
    if status == -signal.SIGKILL:
        return "killed, perhaps for want of memory"
    if status < 0:
        return signal.Signals(-status).name
    return f"status {status}"


def main() -> int:
    """Do what stdin asks for and say so on stdout."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the lines

    def say(**words: Any) -> None:
        said.write(json.dumps(words) + "\n")
        said.flush()

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
