"""The demo's last step of the job: the trained policy opens the drawer over ROS 2."""

from __future__ import annotations

import json
from pathlib import Path

from robot_rl.cli.common import progress

EPISODES = 10  # at most; they run in real time


def deploy_over_ros(task, run: Path, folder: Path, episodes: int, first_seed: int) -> dict | None:
    """Play episodes over ROS and return their record, or the one that is there.

    None where no robot contract stands for the task in simulation.
    """
    from robot_rl.deploy.graph import Deployment, nodes
    from robot_rl.deploy.launcher import Processes, environment
    from robot_rl.specs.robot_contract import load_contract

    results, wanted = folder / "trials.json", min(episodes, EPISODES)
    if not _finished(results, wanted):
        robot = simulated_robot(task, run)
        if robot is None:
            return None
        deployment = Deployment(
            robot, str(run), task=task.name, seed=first_seed, trials=wanted, results=str(results)
        )
        folder.mkdir(parents=True, exist_ok=True)
        contract = load_contract(robot)
        env = environment(local=True, images=bool(contract.cameras))
        with (
            progress(wanted, "over ROS", "episodes") as advance,
            Processes(nodes(deployment), "", env, folder / "logs") as processes,
        ):
            processes.wait(_counting(results, advance))
    return _record(results, first_seed)


def simulated_robot(task, run: Path) -> str | None:
    """The robot contract that stands for a task in simulation and fits the run's policy, if there is one."""
    from robot_rl.deploy.interface import check_fit
    from robot_rl.errors import BadInput
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.specs.robot_contract import contract_names, load_contract

    spec = load_spec(run)
    for name in contract_names():
        contract = load_contract(name)
        if contract.simulated is None:
            continue
        try:
            check_fit(contract, spec, str(run))
        except BadInput:
            continue
        return name
    return None


def _counting(results: Path, advance):
    """A tick that moves the progress bar as episodes are written."""
    told = 0

    def tick() -> bool:
        nonlocal told
        done = len(json.loads(results.read_text())["episodes"]) if results.exists() else 0
        advance(done - told)
        told = done
        return True

    return tick


def _finished(results: Path, wanted: int) -> bool:
    return results.exists() and len(json.loads(results.read_text())["episodes"]) == wanted


def _record(results: Path, first_seed: int) -> dict:
    """The same fields as an evaluation's."""
    reached = [row["success"] for row in json.loads(results.read_text())["episodes"]]
    return {"success": sum(reached) / len(reached), "episodes": reached, "first_seed": first_seed}
