"""Random policies on random robots: commands that break the contract, and what a tick of the guard costs.

Goal: no command outside its contract in 10^5 pairs; the step of converting and filtering takes at most 1 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from types import SimpleNamespace as Message

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from robot_rl.deploy.guard import MOVING, Guard
from robot_rl.deploy.interface import CommandWriter, SourceReader
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import RobotContract, load_contract
from tests.benchmarks._rows import Row, report
from tests.deploy.promise import Promise, random_contract

TICKS = 36  # of a pair, half a period apart or so
CHUNK = 500  # pairs a worker takes at a time
WORKERS = 2
TIMED = 20_000  # steps


def policy(rng: Random):
    """A random policy: the wish of each action at a tick, often of a kind that no trained one would have."""
    kind = rng.choice(("smooth", "bang", "huge", "walk", "still", "broken"))
    size, phase, speed, place = 10 ** rng.uniform(-2, 4), rng.uniform(0, 6), rng.uniform(0.01, 3), 0.0

    def wish(tick: int) -> float:
        nonlocal place
        place += rng.gauss(0, 1)
        return {
            "smooth": size * math.sin(phase + speed * tick),
            "bang": size * rng.choice((-1, 1)),
            "huge": rng.choice((1e308, -1e308, 1e-308)),
            "walk": size * place,
            "still": size,
            "broken": rng.choice((math.nan, math.inf)) if rng.random() < 0.1 else size,
        }[kind]

    return wish


def pair(seed: int) -> tuple[int, int, int, list[str]]:
    """One policy on one robot, with mishaps; returns commands, commands in motion, ticks and what broke."""
    rng = Random(seed)
    contract, wish = random_contract(rng), policy(rng)
    guard, promise, now, wall = Guard(contract), Promise(contract), 10.0, 1e6
    parts, actions, position = list(contract.state_parts()), list(contract.channels()), 0.0
    mishap, in_motion = rng.random() < 0.5, 0
    for tick in range(TICKS):
        step = contract.period * (rng.choice((0.5, 0.5, 0.5, rng.uniform(0, 3))) if mishap else 0.5)
        now, wall = now + step, wall + step
        position += rng.gauss(0, 0.001)
        if not mishap or rng.random() < 0.9:
            guard.heard("x", dict.fromkeys(parts, position), wall, wall, now)
        if tick % 2 == 0 or mishap:
            guard.wished({a: wish(tick) for a in actions}, wall, wall, now, "ab"[tick > TICKS // 2])
        if mishap:
            _mishap(rng, guard, actions, now)
        if tick == 0 or (mishap and guard.mode not in MOVING and rng.random() < 0.3):
            guard.reset()
            with contextlib.suppress(BadInput):
                guard.enable(wall, now)
                promise.enabled()
        output = guard.tick(wall, now)
        in_motion += output.mode in MOVING and output.commands is not None
        promise.saw(output, now)
    return promise.commands, in_motion, TICKS, [f"seed {seed}: {told}" for told in promise.broken]


def _mishap(rng: Random, guard: Guard, actions: list[str], now: float) -> None:
    what = rng.randrange(30)
    if what == 0:
        guard.estop()
    elif what == 1:
        guard.disable()
    elif what < 5:
        guard.hold(rng.random() < 0.5, now)
    elif what < 10:
        guard.override({a: rng.uniform(-1e3, 1e3) for a in actions}, now)
    elif what == 10:
        guard.heard("x", {"x0": math.nan}, None, 0.0, now)


def chunk(start: int, count: int) -> tuple[int, int, int, list[str]]:
    """So many pairs; the sums."""
    found = [pair(seed) for seed in range(start, start + count)]
    return (*(sum(one[k] for one in found) for k in range(3)), [told for one in found for told in one[3]])


def attack(pairs: int) -> list[Row]:
    """Run the pairs in processes and count."""
    starts = range(0, pairs, CHUNK)
    begun = time.monotonic()
    with ProcessPoolExecutor(WORKERS) as pool:
        found = list(pool.map(chunk, starts, [min(CHUNK, pairs - start) for start in starts]))
    commands, in_motion, ticks = (sum(one[k] for one in found) for k in range(3))
    broken = [told for one in found for told in one[3]]
    seconds = time.monotonic() - begun
    note = f"of {commands:,} commands in {ticks:,} ticks, {seconds:.0f} s; {'; '.join(broken[:3])}".rstrip(
        "; "
    )
    return [
        Row.of("pairs", pairs, "contracts and policies", None),
        Row.of("outside", len(broken), "commands", ("<=", 0), note),
        Row.of("in_motion", round(in_motion / commands, 3), "of the commands", None, "the others are stops"),
    ]


def steps(contract: RobotContract) -> tuple[list[float], list[float]]:
    """Seconds of each step on a shipped robot, and of its processor: messages in, a tick, messages out."""
    guard, now, wall, seconds, busy = Guard(contract), 10.0, 1e6, [], []
    readers = {name: SourceReader(source) for name, source in contract.sources.items()}
    writers = {name: CommandWriter(command) for name, command in contract.commands.items()}
    point = Message(x=0.1, y=0.6, z=0.2)
    header = Message(frame_id="world")
    heard = Message(header=header, pose=Message(position=point), name=["gripper"], position=[0.5])
    sent = {name: Message(twist=Message(linear=Message(x=0, y=0, z=0)), data=[]) for name in writers}
    rng = np.random.default_rng(0)
    for count in range(TIMED):
        now, wall = now + contract.period, wall + contract.period
        wish = dict(
            zip(contract.channels(), rng.uniform(-2, 2, len(contract.channels())).tolist(), strict=True)
        )
        begun, worked = time.perf_counter(), time.thread_time()
        for name, read in readers.items():
            guard.heard(name, read(heard), wall, wall, now)
        guard.wished(wish, wall, wall, now)
        output = guard.tick(wall, now)
        if output.commands:
            for name, write in writers.items():
                write(sent[name], output.commands)
        seconds.append(time.perf_counter() - begun)
        busy.append(time.thread_time() - worked)
        if count == 0:
            guard.enable(wall, now)
    return seconds[1:], busy[1:]


def main() -> None:
    """Run the benchmark; `--quick` runs a hundredth of the pairs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    seconds, busy = steps(load_contract("sim_drawer"))
    p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
    note = f"sim_drawer, {len(seconds):,} steps, load {os.getloadavg()[0]:.1f}"
    processor = statistics.quantiles(busy, n=100)[98]
    rows = attack(1000 if args.quick else 100_000)
    rows.append(Row.of("step_p50", round(1e3 * p50, 3), "ms", None, note))
    rows.append(
        Row.of("step_p99", round(1e3 * p99, 3), "ms", ("<=", 1.0), "messages read, filter, messages written")
    )
    rows.append(Row.of("processor_p99", round(1e3 * processor, 3), "ms", None, "without waiting for a core"))
    report("guard", rows)


if __name__ == "__main__":
    main()
