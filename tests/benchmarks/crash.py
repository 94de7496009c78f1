"""Kills labeling, relabeling and training at random moments, and counts what the same command then lost.

Every kill is SIGKILL to the whole process group. The chat endpoint is a process of its own, which counts
calls; it alone knows what was paid for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from robot_rl.data.store import Dataset
from robot_rl.errors import RobotRLError
from tests.benchmarks._rows import Row, report
from tests.benchmarks.labeling import calls_of, endpoint
from tests.conftest import make_episode, make_writer

COMMAND = "import sys; from robot_rl.cli.main import main; sys.exit(main(sys.argv[1:]))"
CONCURRENCY, LATENCY, PAIRS, SIDE = 4, 0.05, 200, 64  # requests, s, training pairs, px
STEPS = 4000  # updates of a training
TASK = [
    "--task",
    "the drawer is open",
    "--opposite",
    "the drawer is closed",
    "--model",
    "in-domain:drawer_open",
]


@dataclass
class Found:
    """What all kills together did."""

    lost: int = 0
    corrupt: int = 0
    paid_twice: int = 0
    in_flight: int = 0  # calls asked again that a kill cut off, which nobody can save
    kills: int = 0  # that hit a command at work


def start(*args: object) -> subprocess.Popen:
    """Start a command line in a process group of its own."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, args)], start_new_session=True, **silent
    )


def finish(*args: object) -> float:
    """Run a command line to its end; returns its seconds."""
    begun, child = time.monotonic(), start(*args)
    error = child.communicate()[1]
    if child.returncode:
        raise RobotRLError(f"{args[0]} failed after a kill: {error.strip().splitlines()[-1:]}")
    return time.monotonic() - begun


def kill_after(seconds: float, *args: object) -> bool:
    """Start a command line and kill its process group; whether it was still at work."""
    child = start(*args)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=seconds)
        return False
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    return True


def write_data(path: Path, episodes: int) -> Path:
    """A dataset as the tests make it, with pictures large enough for the judge."""
    writer = make_writer(path, cameras={"front": (SIDE, SIDE)})
    for index in range(episodes):
        writer.write(index, make_episode(index, steps=30, size=SIDE))
    writer.close()
    return path


def answered(store: Path) -> tuple[list[tuple[str, str, float]], bool]:
    """(key, outcome, p) of each answer in a label store, and whether the file is whole."""
    if not store.exists():
        return [], True
    with contextlib.closing(sqlite3.connect(store)) as db:
        whole = db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone():
            return [], whole
        return db.execute("SELECT key, outcome, p FROM labels").fetchall(), whole


def attempts(kills: int, found: Found) -> Iterator[int]:
    """Count until so many kills hit a command at work; one that came too late is tried again."""
    before, number = found.kills, 0
    while found.kills < before + kills and number < 4 * kills:
        yield number
        number += 1
    if found.kills < before + kills:
        raise RobotRLError(
            f"only {found.kills - before} of {kills} kills came in time; the machine is too uneven"
        )


def labeling(kills: int, folder: Path, moments: random.Random, found: Found) -> None:
    """Kill `robot-rl label`, again and again from an empty store, and let it finish."""
    data = write_data(folder / "label", 6)
    with endpoint(latency=LATENCY) as url:
        chat = [
            "--labeler",
            "chat",
            "--chat.url",
            url,
            "--chat.model",
            "toy",
            "--chat.concurrency",
            CONCURRENCY,
        ]
        chat += ["--chat.image-format", "png", "--until", "preferences", "--pairs", PAIRS, *TASK]

        def command(store: Path) -> list[object]:
            return ["label", data, "--store", store, *chat]

        before = calls_of(url)
        seconds = finish(*command(folder / "whole.sqlite"))
        need = calls_of(url) - before  # questions, and what a run asks to know the endpoint
        answers = set(answered(folder / "whole.sqlite")[0])
        tests = need - len(answers)  # calls by which a run gets to know the endpoint
        for number in attempts(kills, found):
            store = folder / f"{number}.sqlite"
            before = calls_of(url)
            hit = kill_after(moments.uniform(0.2, 0.95) * seconds, *command(store))
            kept, tested = answered(store)[0], calls_of(url) > before
            finish(*command(store))
            rows, whole = answered(store)
            asked_on = len(kept) < len(answers)
            again = calls_of(url) - before - len(answers) - tests * (tested + (hit and asked_on))
            found.kills += hit
            found.lost += len((answers | set(kept)) - set(rows))
            found.corrupt += not whole or len(rows) != len(answers)
            found.in_flight += min(max(0, again), CONCURRENCY)
            found.paid_twice += max(0, again - CONCURRENCY)


def same_data(one: Path, other: Path) -> tuple[int, int]:
    """(episodes lost, whether damaged) of a relabeled dataset against one that no kill disturbed."""
    try:
        a, b = Dataset.open(one), Dataset.open(other)
        same = all(
            np.array_equal(a.column(name), b.column(name)) for name in ("next.reward", "reward.std", "action")
        )
        np.testing.assert_array_equal(a.frames("front", [3]), b.frames("front", [3]))
        return len(b) - len(a), int(not same)
    except (RobotRLError, AssertionError):
        return 0, 1


def relabeling(kills: int, folder: Path, moments: random.Random, found: Found) -> None:
    """Kill `robot-rl reward`, its cache of vectors empty, and let it finish."""
    small, data = write_data(folder / "small", 4), write_data(folder / "relabel", 30)
    oracle = ["--labeler", "oracle", "--pairs", 100, "--reward", "epochs", 1, *TASK]
    finish("label", small, "--out", folder / "labeling", *oracle)
    vectors = Path(os.environ["ROBOT_RL_CACHE"]) / "embeddings"

    def command(out: Path) -> list[object]:
        return ["reward", data, "--model", folder / "labeling", "--out", out]

    shutil.rmtree(vectors)
    seconds = finish(*command(folder / "whole"))
    for number in attempts(kills, found):
        shutil.rmtree(vectors)
        out = folder / f"relabeled-{number}"
        found.kills += kill_after(moments.uniform(0.3, 0.95) * seconds, *command(out))
        if out.exists():  # whole or not there: a second run would refuse to write over it
            lost, damaged = same_data(out, folder / "whole")
        else:
            finish(*command(out))
            lost, damaged = same_data(out, folder / "whole")
        found.lost += lost
        found.corrupt += damaged


def training(kills: int, folder: Path, moments: random.Random, found: Found) -> None:
    """Kill `robot-rl train` and let it go on; the policy must be that of an undisturbed run, bit for bit."""
    data = write_data(folder / "train", 4)
    few = ["--steps", STEPS, "--save-every", 200, "--hidden", 16, 16, "--batch-size", 32]
    seconds = finish("train", data, "--out", folder / "policy", *few)
    weights = (folder / "policy" / "weights.safetensors").read_bytes()
    for number in attempts(kills, found):
        out = folder / f"policy-{number}"
        found.kills += kill_after(moments.uniform(0.3, 0.95) * seconds, "train", data, "--out", out, *few)
        finish("train", data, "--out", out, *few)
        made = out / "weights.safetensors"
        found.lost += not made.exists()
        found.corrupt += made.exists() and made.read_bytes() != weights


def main() -> None:
    """Run the benchmark; `--quick` makes 6 kills, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    each = 2 if parser.parse_args().quick else 10
    moments, found, begun = random.Random(0), Found(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as name:
        folder = Path(name)
        encoders = Path(os.environ.get("ROBOT_RL_CACHE") or "~/.cache/robot_rl").expanduser() / "encoders"
        own = folder / "cache"  # whose vectors are thrown away; the judge need not be trained again
        own.mkdir()
        if encoders.exists():
            (own / "encoders").symlink_to(encoders)
        os.environ["ROBOT_RL_CACHE"] = str(own)
        for part in (labeling, relabeling, training):
            (work := folder / part.__name__).mkdir()
            part(each, work, moments, found)
    note = f"{found.kills} kills of commands at work, in {time.monotonic() - begun:.0f} s"
    paid = (
        f"calls beyond the {CONCURRENCY} that may be in flight at a kill, over {each} kills of labeling; "
        f"{found.in_flight} were in flight: sent, and no answer stored yet"
    )
    rows = [
        Row.of("lost", found.lost, "answers, episodes or policies", ("<=", 0), note),
        Row.of("corrupt", found.corrupt, "files or results", ("<=", 0), "or other than without a kill"),
        Row.of("paid_twice", found.paid_twice, "calls", ("<=", 0), paid),
    ]
    report("crash", rows)


if __name__ == "__main__":
    main()
