"""Practice without resets over ROS 2: a simulated arm opens and closes a drawer in turns while it learns.

Run by `make bench NAME=practice_ros`; about 10 minutes. Guard, policy, supervisor, learner and simulation are
processes of their own. On the way learner, policy, supervisor and all of ours at once are killed with -9, and
the disk is full for a while; then a short practice that pictures judge, whose judge is killed. One seed, from
weak mixed data.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from robot_rl.cli.common import save_config
from robot_rl.cli.deploy_finetune import explored, parts_for
from robot_rl.cli.finetune import Config
from robot_rl.cli.judging import encoder_folder
from robot_rl.cli.main import main as robot_rl
from robot_rl.data.layout import read_json
from robot_rl.deploy.graph import Deployment, joined, nodes
from robot_rl.deploy.launcher import Processes, environment
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.recording import free_mb
from tests.benchmarks._rows import Row, report

STEPS, PICTURED, DOMAIN = 15_000, 800, 93  # steps with the simulator's judgement, and with pictures
SEED = 57  # of the data; what was chosen here was chosen with others
TASKS = ("drawer_open", "drawer_close")
UPDATES = 2  # a step; one core does about 600 a second, at 80 steps
_LONGEST = 4.0  # times real time that practice may take, pauses and kills included
_DISK, _LEFT = 400, 20  # MB of the disk that is filled, and of what is left at first
_ROBOT = "sim_robot_node"  # stays: a robot does not vanish with its computer


class Listener:
    """Hears the nodes' diagnostics."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=DOMAIN)
        self._node = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.figures: dict[str, dict[str, str]] = {}
        self.ticks = self.missed = 0.0  # of policies that were killed
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

    def count_ticks(self) -> None:
        """Add up the ticks of the policy that ends."""
        self.ticks += self.figure("policy", "ticks")
        self.missed += self.figure("policy", "missed")
        self.figures.pop("sim_drawer: policy", None)


@dataclass
class Run:
    """One practice and what is done to it."""

    deployment: Deployment
    queue: Path
    steps: int
    env: dict[str, str]
    logs: Path
    listener: Listener
    faults: list[tuple[float, str, Callable[[Run], object]]]  # share of the steps, name, what is done
    before: dict[str, dict[int, int]] = field(default_factory=dict)  # fault -> what was stored
    untrue: dict[str, int] = field(default_factory=dict)  # … and how many more were told than there were
    began: int = 0  # times that the nodes were started, by whom they all ended
    nodes: Processes | None = None

    def stored(self) -> dict[int, int]:
        """Identity -> checksum of each transition that is stored."""
        with sqlite3.connect(f"file:{self.queue}?mode=ro", uri=True) as db:
            return dict(db.execute("SELECT id, crc FROM transitions"))

    def start(self) -> None:
        """Start all nodes but the robot."""
        ours = [spec for spec in nodes(self.deployment) if spec.executable != _ROBOT]
        self.nodes = Processes(ours, "", self.env, self.logs / str(self.began)).__enter__()
        self.began += 1

    def kill(self, *names: str) -> None:
        """Kill -9; the policy's ticks so far are noted."""
        if "policy_node" in names:
            self.listener.count_ticks()
        for name in names:
            self.nodes.children[name].send_signal(signal.SIGKILL)
        for name in names:
            self.nodes.children[name].wait()

    def status(self) -> int | None:
        """With what the first of ours ended that will not be started anew; None while all run."""
        self.nodes.restart()
        found = [child.poll() for child in self.nodes.children.values()]
        return next((status for status in found if status is not None and status >= 0), None)

    def go(self) -> bool:
        """Practise to the end, through all faults; returns whether it ended by itself."""
        robot = [spec for spec in nodes(self.deployment) if spec.executable == _ROBOT]
        end = time.monotonic() + _LONGEST * self.steps / 80 + 120
        with Processes(robot, "", self.env, self.logs):
            self.start()
            try:
                while (status := self.status()) != 0 and time.monotonic() < end:
                    if status is not None:  # an error, as on a full disk: a person starts it again
                        self.nodes.__exit__()
                        self.start()
                    self.listener.listen(0.5)
                    self._fault()
            finally:
                self.listener.count_ticks()
                self.nodes.__exit__()
        return status == 0

    def _fault(self) -> None:
        """Do what is due; at the end it is seen what of the transitions that were there before is missing."""
        if not self.faults or not self.queue.exists():
            return
        share, name, act = self.faults[0]
        before = self.stored()
        if len(before) > share * self.steps:
            self.faults.pop(0)
            told = self.listener.figure("supervisor", "stored")
            act(self)
            self.before[name], self.untrue[name] = before, max(0, int(told) - len(self.stored()))

    def lost(self) -> dict[str, int]:
        """Fault -> transitions that were stored, or told as stored, before it, and are not there now."""
        now = self.stored()
        gone = {
            name: sum(now.get(id_) != crc for id_, crc in them.items()) for name, them in self.before.items()
        }
        return {name: count + self.untrue[name] for name, count in gone.items()}


def kill_all(run: Run) -> None:
    """Guard, policy, supervisor, learner: a computer that goes out; then the same command."""
    run.kill(*run.nodes.children)
    run.nodes.__exit__()
    run.start()


def fill(run: Run) -> None:
    """Leave little room, then none, then room again."""
    folder, listen = run.queue.parents[2], run.listener.listen
    for name, left in (("most", _LEFT), ("rest", 0)):
        size = int((free_mb(folder) - left) * 1e6)
        with (folder / name).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        listen(2.0)
        stands = run.listener.figure("supervisor", "stored")
        listen(2.0)
        assert run.listener.figure("supervisor", "stored") == stands, "it goes on with a full disk"
    for name in ("most", "rest"):
        (folder / name).unlink()


@contextmanager
def disk(folder: Path):
    """A small disk of its own, that may be filled; yields whether that is permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}m", "tmpfs", str(folder)]
    own = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield own
    finally:
        if own:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def weak_run(folder: Path) -> Path:
    """A policy of both tasks from little mixed data, as in the benchmark reset_free."""
    for task in TASKS:
        options = ["--quality", "mixed", "--episodes", "30", "--no-images", "--seed", str(SEED)]
        assert robot_rl(["collect", task, *options, "--out", str(folder / task)]) == 0
    data = [str(folder / task) for task in TASKS]
    options = ["--by-task", "--algo", "iql", "--steps", "4000", "--settings", "temperature", "10"]
    assert robot_rl(["train", *data, *options, "--out", str(folder / "run"), "--reward", "next.reward"]) == 0
    return folder / "run"


def judges(folder: Path) -> str:
    """Success classifiers of both tasks, hardly trained: what they say does not matter here."""
    from robot_rl.envs.random_states import random_states
    from robot_rl.specs.tasks import load_task
    from robot_rl.vision.in_domain import InDomainConfig, train_in_domain

    os.environ["ROBOT_RL_CACHE"] = str(folder / "cache")
    task, found = load_task(TASKS[0]), []
    tiny = InDomainConfig(frames=60, steps=40, batch_size=8, texts=32, learning_rate=3e-3)
    train_in_domain(
        task, *random_states(task, 60, seed=1, workers=1), encoder_folder(task, InDomainConfig()), tiny
    )
    for name in TASKS:
        data, out = folder / f"{name}-seen", folder / f"{name}-success"
        options = ["--quality", "medium", "--episodes", "12", "--seed", "9", "--out", str(data)]
        assert robot_rl(["collect", name, *options]) == 0
        options = ["--model", f"in-domain:{TASKS[0]}", "--frames", "40", "--out", str(out)]
        assert robot_rl(["success", str(data), *options]) == 0
        found.append(out)
    return joined(found)


def prepared(run: Path, out: Path, steps: int, env: dict[str, str], **more: object) -> Run:
    """A practice that has not begun."""
    save_config(Config(run=run, reset_free=True, utd=UPDATES), out / "config.yaml")
    parts_for(run, out, steps=steps)
    asked = Deployment("sim_drawer", str(run), fine_tune=str(out), enable=True, explore=None, **more)
    logs = Path(env["LOGS"]) / out.name
    return Run(explored(asked), out / "queue.sqlite", steps, env, logs, Listener(), [])


def success(out: Path, run: Path, first: float, last: float, steps: int) -> tuple[int, int]:
    """Successes and tries among those that ended between two shares of the steps."""
    ends = {"success", "assisted", "time_out", "stuck", "out_of_reach"}
    tries = [one for one in parts_for(run, out).queue().tries() if one.ended in ends]
    found = [one.ended == "success" for one in tries if first * steps < one.last <= last * steps]
    return sum(found), len(found)


def rows_of_faults(practice: Run, run: Path, out: Path, ended: bool) -> list[Row]:
    """What was lost at each fault, and what was learned in the end."""
    parts = parts_for(run, out)
    newest, stored = parts.ledger().newest(), parts.queue().count()
    ids = [id_ for id_, _ in parts.queue().read(limit=2 * practice.steps)]
    gaps = len(set(range(1, stored + 1)) - set(ids))
    told = "transitions that were stored before, missing after"
    found = [Row.of(f"lost_{name}", float(count), "", ("<=", 0), f"{told} {name}")
             for name, count in practice.lost().items()]  # fmt: skip
    late = stored - (newest.step if newest else 0)
    name = "pictured_unlearned" if out.name == "pictured" else "unlearned"
    note = f"of {stored} stored of {practice.steps}, {gaps} not readable; the command " + (
        "ended by itself" if ended else "DID NOT END"
    )
    wrong = late + gaps + practice.steps - stored + (not ended)
    return [*found, Row.of(name, float(wrong), "", ("<=", 0), note)]


def by_pictures(run: Path, folder: Path, env: dict[str, str]) -> list[Row]:
    """A short practice with a judge of pictures that is killed."""
    practice = prepared(run, run / "pictured", PICTURED, env, success=judges(folder))
    practice.faults = [(0.4, "kill_of_reward", lambda run: run.kill("reward_node"))]
    return rows_of_faults(practice, run, run / "pictured", practice.go())


def main() -> None:
    """Make the weak policy, practise, and write the rows."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    folder = Path(tempfile.mkdtemp(prefix="robot_rl_bench_"))
    made = weak_run(folder)
    env = environment(local=True, images=True) | {"ROS_DOMAIN_ID": str(DOMAIN), "LOGS": str(folder / "logs")}
    os.environ.update(env)  # the listener is in this process
    with disk(folder / "disk") as own:
        run = shutil.copytree(made, folder / "disk" / "run")
        out = run / "tuned"
        practice = prepared(run, out, steps, env)
        practice.faults = [
            (0.15, "kill_of_learner", lambda run: run.kill("learner_node")),
            (0.3, "kill_of_policy", lambda run: run.kill("policy_node")),
            (0.45, "kill_of_supervisor", lambda run: run.kill("supervisor_node")),
            (0.55, "kill_of_all", kill_all),
            *([(0.65, "full_disk", fill)] if own else []),
        ]
        ended = practice.go()
        found = rows_of_practice(practice, run, out, steps)
        found += rows_of_faults(practice, run, out, ended)
        if not own:
            found.append(Row.of("full_disk", 0.0, "", None, "not measured: a disk may not be mounted here"))
        found += by_pictures(run, folder, env)
    report("practice_ros", found)


def rows_of_practice(practice: Run, run: Path, out: Path, steps: int) -> list[Row]:
    """Success, help, resets and the control loop."""
    state, found = read_json(out / SUPERVISOR)["state"], []
    for name, first, last, goal in (("first", 0, 0.2, None), ("last", 0.8, 1.0, (">=", 0.9))):
        reached, tries = success(out, run, first, last, steps)
        note = f"{reached} of {tries} tries of both tasks, in the {name} fifth of {steps} steps"
        found.append(Row.of(f"success_{name}", reached / max(tries, 1), "share", goal, note))
    queue = parts_for(run, out).queue()
    unjudged = sum(step.reward == 0 for _, step in queue.read(limit=2 * steps)) / max(queue.count(), 1)
    helped, listener = f"{state['perturbations']} perturbations", practice.listener
    due = listener.ticks + listener.missed
    return [
        *found,
        Row.of("resets", float(state["resets"] - 1), "", ("<=", 0), "after the world was first set up"),
        Row.of("asked_for_help", float(state["asked_for_help"]), "", None, helped),
        Row.of("unjudged", 100 * unjudged, "%", ("<=", 1.0), "steps without their reward, which is never 0"),
        Row.of("missed_ticks", 100 * listener.missed / max(due, 1), "%", ("<=", 0.5),
               f"of {due:.0f} of the policy at 80 Hz, from its first on, while the learner works"),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
