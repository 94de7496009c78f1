"""`robot-rl deploy`: a policy on a robot over ROS 2, or on a simulated one behind the same topics."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

INTERRUPTED = "the robot was stopped and all nodes ended"


@dataclass(frozen=True)
class Config:
    """Deploy a policy over ROS 2: starts the nodes that `ros2 launch` would, as processes of their own.

    A robot that is hardware is never enabled from here: a person enables the guard when all is ready.
    """

    robot: str
    """Name of a robot contract, such as sim_drawer, or the path of a contract file."""
    policy: Path
    """Folder of the run, as train writes it."""
    runtime: str = "auto"
    """auto, onnx or numpy: what runs the policy; auto takes policy.onnx where it was exported."""
    task: str | None = None
    """Simulated robots: another task than the contract's."""
    trials: int = 0
    """Simulated robots: play so many episodes, print the success, and end."""
    seed: int = 10_000
    """Simulated robots: seed of the first episode."""
    enable: bool = True
    """Simulated robots: start moving at once."""
    record: Path | None = None
    """Folder to record into: a dataset of all episodes, interventions marked, and raw bags (MCAP)."""
    reward: tuple[Path, ...] = ()
    """Folder of a labeling: its reward model judges what the camera sees, for the record or for --fine-tune,
    which takes two, the task's and its reverse's."""
    success: tuple[Path, ...] = ()
    """Folder of a success classifier (from robot-rl success), which says when the camera shows the goal
    reached; with --fine-tune two, the task's and its reverse's."""
    fine_tune: Path | None = None
    """Folder inside the run's: go on learning there while the robot practises a task and its reverse in
    turns, without resets; the run is of both (robot-rl train FORWARD BACKWARD --by-task). It ends when all
    steps are practised and learned from; before that, the same command continues."""
    steps: int | None = None
    """With --fine-tune: control steps to practise; default: as in the folder's config.yaml, where all other
    settings are too (those of robot-rl finetune), or 20,000."""
    explore: float | None = None
    """With --fine-tune: noise, in the learner's own standard deviations; default: as robot-rl finetune has
    it, 1 for calql and rlpd, 0.4 for iql."""
    interface: str = ""
    """Network interface to the robot, such as eth0, for a robot whose driver is started here (go2)."""
    namespace: str = ""
    """ROS namespace of all nodes and topics."""
    duration: float | None = None
    """Seconds after which to end; default: until Ctrl-C."""
    realtime: bool = False
    """Run guard, policy and simulation at real-time priority (Linux; needs the right to: `ulimit -r`).
    --fine-tune asks for it by itself, so that control is not late because of learning."""
    view: bool = True
    """Show state, rate, times and limits hit, and hear keys: enable, e-stop, reset; plain lines without a
    terminal. Not with --trials."""
    logs: Path | None = None
    """Folder for what each node prints; default: RUN/logs with the view, this terminal without."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print nodes, topics and the mapping between policy and robot, check the fit, and start nothing."""


def main(config: Config) -> None:
    """Check the fit, start the nodes, and wait."""
    from robot_rl.cli.deploy_plan import plan_text
    from robot_rl.deploy.graph import Deployment, joined, nodes
    from robot_rl.deploy.interface import check_fit
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.specs.robot_contract import load_contract

    contract, spec = load_contract(config.robot), load_spec(config.policy)
    check_fit(contract, spec, str(config.policy))
    results = config.policy / "trials.json"
    deployment = Deployment(
        robot=config.robot if contract.name == config.robot else str(Path(config.robot).resolve()),
        policy=str(config.policy),
        runtime=config.runtime,
        task=config.task or "",
        seed=config.seed,
        enable=config.enable and contract.simulated is not None and not config.trials,
        trials=config.trials,
        results=str(results) if config.trials else "",
        namespace=config.namespace,
        realtime=config.realtime,
        view=config.view and not config.trials,
        record=str(config.record or ""),
        interface=config.interface,
        explore=1.0 if config.explore is None else config.explore,
        reward=joined(config.reward),
        fine_tune=str(config.fine_tune or ""),
        success=joined(config.success),
    )
    specs = nodes(deployment)
    if config.fine_tune:
        from robot_rl.cli.deploy_finetune import parts_for, rules_for, tell

        parts = parts_for(
            config.policy, config.fine_tune, config.task or "", config.steps, not config.dry_run
        )
        rules_for(parts, contract)  # what is wrong with it shows here, in one line
        if config.explore is None:
            specs = nodes(replace(deployment, explore=parts.noise))
    if config.dry_run:
        print(plan_text(contract, spec, specs, config.namespace))
        return
    run_nodes(config, contract, specs)
    if config.trials:
        print(trials_text(json.loads(results.read_text())))
    if config.fine_tune:
        tell(deployment)


def run_nodes(config: Config, contract, specs) -> None:
    """Run the nodes until one ends or the time is up; a node's bad input ends with its status."""
    from robot_rl.deploy.launcher import Processes, environment
    from robot_rl.errors import BadInput

    env = environment(contract.simulated is not None, bool(contract.cameras))
    end = None if config.duration is None else time.monotonic() + config.duration
    logs = config.logs or (config.policy / "logs" if config.view and not config.trials else None)
    with _ended_by_signals(), Processes(specs, config.namespace, env, logs) as processes:
        status = processes.wait(lambda: end is None or time.monotonic() < end)
    if status == 2:
        raise BadInput("deploy: a node refused its input, see above; all nodes were stopped")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, end all in order as Ctrl-C does."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def trials_text(results: dict) -> str:
    """One line on the episodes that were played over ROS, with an interval."""
    from robot_rl.cli.evaluate import success_text

    rows = results["episodes"]
    success, steps = [row["success"] for row in rows], [row["steps"] for row in rows]
    return "over ROS: " + success_text(success, steps, rows[0]["seed"])
