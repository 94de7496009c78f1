"""Damaged files of every format: the readers answer each with one line or with data, and nothing else.

For each format FUZZ_CASES (default 10,000) copies of a small file or folder are damaged, in their bytes and
through their structure, and read. What is not `BadInput` counts: other exceptions, ends of the process,
cases that take longer than 20 s, and memory. Damage number n of a format is the same in every run.

    make bench NAME=fuzz            # all formats, two processes at a time
    FUZZ_CASES=500 FUZZ_FORMATS="d4rl,mcap bag" .venv/bin/python tests/benchmarks/fuzz.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from robot_rl.cli.common import progress  # noqa: E402
from tests.benchmarks._fuzzed import CORPUS  # noqa: E402
from tests.benchmarks._rows import Row, report  # noqa: E402

CASES = int(os.environ.get("FUZZ_CASES", "10000"))
FORMATS = [name for name in os.environ.get("FUZZ_FORMATS", "").split(",") if name] or list(CORPUS)
HANG = 20.0  # seconds for one case
PART = 500  # cases read by one process, so that memory that is lost shows and what it caches is renewed
MEMORY_MB = 1000.0  # the largest memory that a process may take for these files of some kilobytes
SEED = 0


@dataclass
class Outcome:
    """What happened to the cases of one format."""

    read: int = 0
    refused: int = 0
    errors: list[dict] = field(default_factory=list)  # exceptions that are not BadInput
    deaths: list[int] = field(default_factory=list)  # numbers of cases that ended the process
    hangs: list[int] = field(default_factory=list)
    peak_mb: float = 0.0


def fuzz(name: str, cases: int, advance: Callable[..., None] = lambda *_: None) -> Outcome:
    """Read `cases` damaged files of a format, in processes that may die."""
    outcome, number = Outcome(), 0
    while number < cases:
        number = _part(name, number, min(PART, cases - number), outcome, advance)
    return outcome


def _part(name: str, start: int, count: int, outcome: Outcome, advance: Callable[..., None]) -> int:
    """Run one process; returns the number of the case to go on with."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # thousands of small files
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as room:
        (Path(room) / "corpus").mkdir()
        told = Path(room) / "told"
        with told.open("w") as out:
            args = [
                sys.executable,
                "-m",
                "tests.benchmarks._fuzzed",
                name,
                room,
                *map(str, (start, count, SEED)),
            ]
            env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            child = subprocess.Popen(args, stdout=out, stderr=subprocess.DEVNULL, cwd=ROOT, env=env)
            last = _watch(child, Path(room) / "beat", start, advance)
        for line in told.read_text().splitlines():
            words = json.loads(line)
            if "error" in words:
                outcome.errors.append(words)
                print(f"{name}, case {words['number']}, {words['path']}:\n{words['error']}", file=sys.stderr)
            outcome.refused += words.get("refused", 0)
            outcome.peak_mb = max(outcome.peak_mb, words.get("peak_mb", 0))
        if child.returncode == 0:
            outcome.read += count
            return start + count
        if last < start:
            raise SystemExit(f"fuzz: '{name}' did not begin; run python -m tests.benchmarks._fuzzed by hand")
        print(f"{name}, case {last}: ended with status {child.returncode}", file=sys.stderr)
        (outcome.hangs if child.returncode == -9 else outcome.deaths).append(last)
        outcome.read += last + 1 - start
        return last + 1


def _watch(child: subprocess.Popen, beat: Path, start: int, advance: Callable[..., None]) -> int:
    """Wait for a process, ending it where a case takes too long; returns the number of its last case."""
    last, since, shown = start - 1, time.monotonic(), start
    while child.poll() is None:
        time.sleep(0.2)
        text = beat.read_bytes() if beat.exists() else b""
        number = int(text) if text.strip() else start - 1
        if number != last:
            last, since = number, time.monotonic()
            advance(max(0, number - shown))
            shown = max(shown, number)
        elif time.monotonic() - since > HANG + 20 * (last < start):
            child.kill()
    text = beat.read_bytes() if beat.exists() else b""
    return int(text) if text.strip() else start - 1


def main() -> None:
    """Fuzz every format and print the rows."""
    rows: list[Row] = []
    with progress(CASES * len(FORMATS), "fuzz", "files") as advance, ThreadPoolExecutor(2) as pool:
        found = dict(zip(FORMATS, pool.map(lambda name: fuzz(name, CASES, advance), FORMATS), strict=True))
    for name, outcome in found.items():
        note = f"{outcome.refused} refused in one line"
        if outcome.deaths:
            note += f"; cases {outcome.deaths[:10]} ended the process"
        rows += [
            Row.of(f"{name}: damaged files read", outcome.read, "files", (">=", 10_000), note),
            Row.of(f"{name}: other errors", len(outcome.errors), "files", ("<=", 0)),
            Row.of(f"{name}: ends of the process", len(outcome.deaths), "files", ("<=", 0)),
            Row.of(f"{name}: longer than {HANG:g} s", len(outcome.hangs), "files", ("<=", 0)),
            Row.of(f"{name}: memory", outcome.peak_mb, "MB", ("<=", MEMORY_MB)),
        ]
    report("fuzz", rows)


if __name__ == "__main__":
    main()
