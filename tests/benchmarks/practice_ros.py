"""Practice without resets over ROS 2: a simulated arm opens and closes a drawer in turns while it learns.

Run by `make bench NAME=practice_ros`; about 8 minutes. Guard, policy, supervisor, learner and simulation are
processes of their own; policy and learner are killed with -9 on the way. One seed, from weak mixed data.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from robot_rl.cli.deploy_finetune import parts_for
from robot_rl.cli.main import main as robot_rl
from robot_rl.data.layout import read_json
from robot_rl.deploy.graph import Deployment, nodes
from robot_rl.deploy.launcher import Processes, environment
from robot_rl.deploy.practice import SUPERVISOR
from tests.benchmarks._rows import Row, report

STEPS, DOMAIN = 20_000, 93
TASKS = ("drawer_open", "drawer_close")
_LONGEST = 4.0  # times real time that practice may take, pauses and kills included
KILLS = ((0.25, "learner_node"), (0.5, "policy_node"))  # share of the steps, node


class Listener:
    """Hears the nodes' diagnostics."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=DOMAIN)
        self._node = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.figures: dict[str, dict[str, str]] = {}
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._heard, 10)

    def _heard(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.figures[status.name] = {pair.key: pair.value for pair in status.values}

    def listen(self, seconds: float) -> None:
        """Go on for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)

    def figure(self, node: str, name: str) -> float:
        """A figure of a node, 0 before it was heard."""
        return float(self.figures.get(f"sim_drawer: {node}", {}).get(name, 0))


def weak_run(folder: Path) -> Path:
    """A policy of both tasks from little mixed data."""
    for task in TASKS:
        options = ["--quality", "mixed", "--episodes", "20", "--no-images", "--seed", "7"]
        assert robot_rl(["collect", task, *options, "--out", str(folder / task)]) == 0
    data = [str(folder / task) for task in TASKS]
    options = ["--by-task", "--algo", "iql", "--steps", "800", "--hidden", "64", "64"]
    assert robot_rl(["train", *data, *options, "--out", str(folder / "run"), "--reward", "next.reward"]) == 0
    return folder / "run"


def practise(run: Path, out: Path, steps: int) -> tuple[list[str], float, float]:
    """Practise all steps; returns what was lost at kills, and the policy's ticks and those it missed."""
    parts = parts_for(run, out, steps=steps)
    queue, lost, kills, ticks, missed = parts.queue(), [], list(KILLS), 0.0, 0.0
    deployment = Deployment("sim_drawer", str(run), fine_tune=str(out), enable=True)
    env = environment(local=True, images=False) | {"ROS_DOMAIN_ID": str(DOMAIN)}
    os.environ.update(env)  # the listener is in this process
    with Processes(nodes(deployment), "", env, out.parent / "logs") as processes:
        listener = Listener()
        end = time.monotonic() + _LONGEST * steps / 80 + 120
        while queue.count() < steps or listener.figure("learner", "learned") < steps:
            if time.monotonic() > end:
                break  # it waits for help; the rows say what there is
            listener.listen(0.5)
            processes.restart()
            if kills and queue.count() > kills[0][0] * steps:
                name = kills.pop(0)[1]
                told = listener.figure("supervisor", "stored")
                ticks += listener.figure("policy", "ticks") * (name == "policy_node")
                missed += listener.figure("policy", "missed") * (name == "policy_node")
                processes.children[name].send_signal(signal.SIGKILL)
                if queue.count() < told:
                    lost.append(f"{name}: {told - queue.count():g}")
    ticks, missed = ticks + listener.figure("policy", "ticks"), missed + listener.figure("policy", "missed")
    return lost, ticks, missed


def success(out: Path, run: Path, first: float, last: float, steps: int) -> tuple[int, int]:
    """Successes and tries among those that ended between two shares of the steps."""
    ends = {"success", "assisted", "time_out", "stuck", "out_of_reach"}
    tries = [one for one in parts_for(run, out).queue().tries() if one.ended in ends]
    found = [one.ended == "success" for one in tries if first * steps < one.last <= last * steps]
    return sum(found), len(found)


def main() -> None:
    """Make the weak policy, practise, and write the rows."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    folder = Path(tempfile.mkdtemp(prefix="robot_rl_bench_"))
    run = weak_run(folder)
    out = run / "tuned"
    lost, ticks, missed = practise(run, out, steps)
    queue = parts_for(run, out).queue()
    whole = [id_ for id_, _ in queue.read(limit=2 * steps)] == list(range(1, steps + 1))
    state = read_json(out / SUPERVISOR)["state"]
    found = []
    for name, first, last, goal in (("first", 0, 0.2, None), ("last", 0.8, 1.0, (">=", 0.9))):
        reached, tries = success(out, run, first, last, steps)
        note = f"{reached} of {tries} tries of both tasks, in the {name} fifth of {steps} steps"
        found.append(Row.of(f"success_{name}", reached / max(tries, 1), "share", goal, note))
    helped, gone = f"{state['perturbations']} perturbations", ", ".join(lost) or "none missing"
    told = f"transitions, after kill -9 of learner and policy, against what was told before; {gone}"
    found += [
        Row.of("resets", float(state["resets"] - 1), "", ("<=", 0), "after the world was first set up"),
        Row.of("asked_for_help", float(state["asked_for_help"]), "", None, helped),
        Row.of("lost", float(len(lost) + (not whole)), "", ("<=", 0), told),
        Row.of("missed_ticks", 100 * missed / max(ticks, 1), "%", ("<=", 0.5),
               f"of {ticks:.0f} of the policy at 80 Hz, while the learner works"),
    ]  # fmt: skip
    report("practice_ros", found)


if __name__ == "__main__":
    main()
