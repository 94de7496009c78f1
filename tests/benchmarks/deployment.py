"""Latency of a deployed policy over real DDS: observation to command, missed ticks, processor time, swaps.

Run by `make bench NAME=deployment`; about 5 minutes. 50 Hz, a 640x480 camera at 30 Hz, two hidden layers of
256. First with idle cores, then with a busy process on each, then the same with guard and policy at real-time
priority; weights are exchanged every three seconds throughout. At last a walking policy's return over ROS
beside that in the plain environment, with idle cores.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from robot_rl.deploy.graph import Deployment, nodes
from robot_rl.deploy.launcher import Processes, environment
from robot_rl.envs.rollout import evaluate
from robot_rl.specs.tasks import load_task
from tests.benchmarks._robot import RATE, BenchRobot, checkpoint, contract, cpu_seconds
from tests.benchmarks._rows import Row, report

SECONDS, SWAP_EVERY, DOMAIN = 60.0, 3.0, 91
SLOPE = 0.5
WALK, WALKS = Path(__file__).resolve().parent / "walk", range(700, 706)


@dataclass(frozen=True)
class Phase:
    """What one phase measured."""

    latency: np.ndarray  # s, one an observation that was answered
    late: int  # commands more than half a period after their time
    commands: int
    swaps: int
    cpu: dict[str, float]  # share of a core by node
    step: str  # of the policy node, as it says itself


def measure(robot: BenchRobot, processes: Processes, runs: list[Path], seconds: float) -> Phase:
    """Let the graph run for a while, with swaps."""
    robot.run(2.0)
    robot.forget()
    swaps = int(robot.figures["bench: policy"]["swaps"])
    before = {name: cpu_seconds(child.pid) for name, child in processes.children.items()}
    began = time.monotonic()
    for k in range(int(seconds / SWAP_EVERY)):
        robot.weights.publish(_text(runs[k % 2]))
        robot.run(SWAP_EVERY)
    took = time.monotonic() - began
    cpu = {n: (cpu_seconds(c.pid) - before[n]) / took for n, c in processes.children.items()}
    gaps = np.diff(robot.arrivals)
    latency = np.array(list(robot.latency.values()))
    robot.run(1.5)  # for the diagnostics to come
    figures = robot.figures["bench: policy"]
    late = int((gaps > 1.5 / RATE).sum())
    return Phase(latency, late, len(gaps), int(figures["swaps"]) - swaps, cpu, figures["step"])


def _text(folder: Path):
    from std_msgs.msg import String

    return String(data=str(folder))


def _spin() -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # not as the robot that started it
    while True:
        pass


def rows_of(name: str, phase: Phase, idle: bool) -> list[Row]:
    """The rows of one phase; goals hold for idle cores."""
    p50, p99 = 1e3 * np.percentile(phase.latency, [50, 99])
    note = "from publishing an observation until its command arrives at the robot"
    step99 = float(phase.step.partition("p99 ")[2].split(" ")[0])
    share = 100 * phase.late / max(phase.commands, 1)
    cpu = ", ".join(f"{node} {value:.0%}" for node, value in phase.cpu.items())
    return [
        Row.of(f"{name}_latency_p50", float(p50), "ms", None, note),
        Row.of(f"{name}_latency_p99", float(p99), "ms", None, f"{len(phase.latency)} observations"),
        Row.of(f"{name}_step_p99", step99, "ms", ("<=", 1.0) if idle else None,
               "convert, infer, publish in policy_node"),
        Row.of(f"{name}_missed", share, "%", ("<=", 0.1) if idle else None,
               f"{phase.late} of {phase.commands} commands came half a period late or more"),
        Row.of(f"{name}_swaps", float(phase.swaps), "", None, "weights exchanged meanwhile"),
        Row.of(f"{name}_cpu", sum(phase.cpu.values()), "cores", None, cpu),
    ]  # fmt: skip


def walked() -> Row:
    """Return of the walking policy in walk/ over ROS, as a share of that in the plain environment."""
    folder = Path(tempfile.mkdtemp(prefix="robot_rl_bench_"))
    run, results = shutil.copytree(WALK, folder / "run"), folder / "trials.json"
    deployment = Deployment("sim_go2", str(run), seed=WALKS[0], trials=len(WALKS), results=str(results))
    env = environment(local=True, images=True) | {"ROS_DOMAIN_ID": str(DOMAIN)}
    with Processes(nodes(deployment), "", env, folder / "logs") as processes:
        processes.wait()
    episodes = json.loads(results.read_text())["episodes"]
    plain = evaluate(load_task("go2_walk"), run, WALKS)
    share = sum(row["return"] for row in episodes) / plain.returns.sum()
    late = sum(row["late"] for row in episodes) / sum(row["steps"] for row in episodes)
    note = (
        f"{len(WALKS)} episodes of 10 s; success {sum(row['success'] for row in episodes)} over ROS, "
        f"{plain.success.sum()} in the plain environment; {late:.1%} of the commands came late"
    )
    return Row.of("walk_return_share", float(share), "", (">=", 0.95), note)


def main() -> None:
    """Measure both phases and write the rows."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    folder = Path(tempfile.mkdtemp(prefix="robot_rl_bench_"))
    run = checkpoint(folder / "run", SLOPE)
    runs = [checkpoint(run / "a", SLOPE), checkpoint(run / "b", SLOPE)]
    deployment = Deployment(str(contract(folder)), str(run), enable=True)
    env = environment(local=True, images=True) | {"ROS_DOMAIN_ID": str(DOMAIN)}
    os.environ.update(env)  # the robot is in this process
    with Processes(nodes(deployment), "", env, folder / "logs") as processes:
        robot = BenchRobot(DOMAIN, SLOPE)
        while not robot.latency:
            robot.run(0.5)
        found = rows_of("idle", measure(robot, processes, runs, seconds), idle=True)
        busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
        for process in busy:
            process.start()
        found += rows_of("busy", measure(robot, processes, runs, seconds), idle=False)
        robot.close()
    with Processes(nodes(replace(deployment, realtime=True)), "", env, folder / "logs") as processes:
        robot = BenchRobot(DOMAIN, SLOPE)
        while not robot.latency:
            robot.run(0.5)
        found += rows_of("busy_realtime", measure(robot, processes, runs, seconds), idle=False)
        robot.close()
    for process in busy:
        process.kill()
        process.join()
    found.append(walked())
    report("deployment", found)


if __name__ == "__main__":
    main()
