"""The parts of a fine-tuning behind topics, for the nodes that learn and supervise: one config for both.

The folder's config.yaml is that of `robot-rl finetune`; whoever comes first writes it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robot_rl.cli.common import load_config, save_config
from robot_rl.cli.finetune import Config
from robot_rl.cli.reset_free import Parts
from robot_rl.deploy.graph import Deployment
from robot_rl.deploy.home_way import way_home
from robot_rl.deploy.practice import SUPERVISOR
from robot_rl.deploy.supervisor_rules import Rules
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import load_spec
from robot_rl.policies.conditioning import tasks_of
from robot_rl.specs.robot_contract import RobotContract
from robot_rl.specs.tasks import load_task, task_names


def parts_for(run: Path, out: Path, task: str = "", steps: int | None = None, keep: bool = True) -> Parts:
    """The fine-tuning of a run of two tasks in a folder, begun or continued; raises BadInput.

    `steps` asks for so many, also where it is continued; with `keep` the settings are written there.
    """
    if steps is not None and steps < 1:
        raise BadInput(f"steps: must be at least 1, not {steps}")
    spec = load_spec(run)
    path = out / "config.yaml"
    config = load_config(Config, path) if path.exists() else Config(run=run, reset_free=True)
    practice = replace(config.practice, judged_by="tries")  # nothing else judges weights here
    changes = {"task": task or config.task, "steps": steps or config.steps, "practice": practice}
    config = replace(config, run=run, out=out, **changes)
    pair = pair_of(spec.state_names, config.task or spec.task, str(run))
    if keep and (steps or not path.exists()):
        save_config(config, path)
    return Parts(config, out, spec, pair)


def pair_of(state_names: tuple[str, ...], forward: str, where: str) -> tuple[str, str]:
    """A task and the one that undoes it, of those that a policy knows; raises BadInput."""
    known = tasks_of(state_names)
    if forward not in known:
        raise BadInput(
            f"{where}: was trained for {', '.join(known) or 'one task'}; fine-tuning needs one policy for a "
            f"task and its reverse, {forward} among them (robot-rl train FORWARD BACKWARD --by-task)"
        )
    backward = load_task(forward).reverse_task if forward in task_names() else None
    if backward is None and len(known) == 2:
        backward = next(task for task in known if task != forward)
    if backward not in known:
        raise BadInput(f"{where}: nothing among {', '.join(known)} undoes {forward}")
    return forward, backward


def rules_for(parts: Parts, contract: RobotContract) -> Rules:
    """The supervisor's rules on a robot; raises BadInput."""
    p, time_out = parts.config.practice, {}
    home = p.home and way_home(contract, parts.spec.state_names)
    for task in parts.tasks:
        if p.time_out is None and task not in task_names():
            raise BadInput(f"practice.time_out: {task} has no task card; say how many steps a try takes")
        time_out[task] = p.time_out or load_task(task).episode_length
    return Rules(
        parts.tasks, time_out, contract.control_rate, hold=p.hold, window=p.window, tries=p.tries,
        perturbations=p.perturbations,
        home_steps=round(contract.home.time * contract.control_rate) if home else 0,
    )  # fmt: skip


def explored(deployment: Deployment) -> Deployment:
    """The deployment with the noise that its folder's settings ask for, where it does not say."""
    if deployment.explore is not None:
        return deployment
    run, out = Path(deployment.policy), Path(deployment.fine_tune)
    return replace(deployment, explore=parts_for(run, out, deployment.task, keep=False).noise)


def tell(deployment: Deployment) -> None:
    """Print what came of a fine-tuning, as `robot-rl finetune --reset-free` does; nothing before it began."""
    from robot_rl.cli.reset_free_run import print_result

    parts = parts_for(Path(deployment.policy), Path(deployment.fine_tune), deployment.task, keep=False)
    if (parts.out / SUPERVISOR).exists() and parts.ledger().versions():
        print_result(parts)
