"""`robot-rl train A B … --by-task`: one policy from the datasets of several tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robot_rl.cli.common import save_config
from robot_rl.errors import BadInput, need, need_installed

if TYPE_CHECKING:
    from robot_rl.cli.evaluate import Config as EvaluateConfig
    from robot_rl.cli.train import Config
    from robot_rl.data.replay import Transitions
    from robot_rl.policies.checkpoint import PolicyDescription

_SINGLE = {"holdout": 0.0, "observe": (), "on_disk": False, "seeds": 1}  # options that take one dataset


def train_by_task(config: Config) -> None:
    """Train on all datasets, and say of which tasks they are; raises BadInput."""
    from robot_rl.cli.train import D3RLPY, check_known, print_result, run_training, settings_of

    _check(config)
    need("torch", "train")
    check_known(config.algo)
    if config.algo.startswith(D3RLPY):
        raise BadInput(f"--by-task: is for iql, calql, rlpd and bc, not {config.algo}")
    for name in ("tensorboard", "wandb"):
        if getattr(config, name):
            need_installed(name, name)
    transitions, description = load_tasks((config.dataset, *config.more), config)
    settings = settings_of(config)
    if not (config.out / "train.jsonl").exists():
        save_config(config, config.out / "config.yaml")
    from robot_rl.policies.conditioning import tasks_of

    tasks = ", ".join(tasks_of(description.state_names))
    print(f"{1 + len(config.more)} datasets of the tasks {tasks}: {len(transitions)} transitions")
    run_training(config, settings, transitions, description, {})
    print_result(config.out)


def _check(config: Config) -> None:
    if not config.by_task:
        raise BadInput("--by-task: is missing; several datasets make one policy that is told the task")
    if not config.more:
        raise BadInput("--by-task: needs at least two datasets: robot-rl train FORWARD BACKWARD --by-task …")
    for name, value in _SINGLE.items():
        if getattr(config, name) != value:
            raise BadInput(f"--{name.replace('_', '-')}: is for one dataset; leave it out with --by-task")


def load_tasks(paths: tuple[Path, ...], config: Config) -> tuple[Transitions, PolicyDescription]:
    """The joined transitions of the datasets, with the column of rewards that a training's config names."""
    from robot_rl.cli.train import reward_column
    from robot_rl.data.store import Dataset
    from robot_rl.learners.by_task import join_tasks

    datasets = [Dataset.open(path) for path in paths]
    columns = {reward_column(config, one) for one in datasets}
    return join_tasks(datasets, columns.pop(), config.action_limits)


def evaluate_tasks(config: EvaluateConfig, tasks: tuple[str, ...]) -> dict[str, float]:
    """Evaluate a policy on each of its tasks, print their success, and write evaluation.json into the run."""
    from robot_rl.cli.arms import write_json
    from robot_rl.cli.common import progress
    from robot_rl.cli.evaluate import check_fits, success_text
    from robot_rl.envs.rollout import evaluate
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.specs.tasks import load_task, task_names

    known = [name for name in tasks if name in task_names()]
    if not known:
        raise BadInput(
            f"{config.run}: no simulator knows its tasks {', '.join(tasks)}; give --task or --data"
        )
    if config.video:
        raise BadInput(f"--video: shows one task; give --task, one of {', '.join(known)}")
    spec, found, episodes = load_spec(config.run), {}, []
    seeds = range(config.first_seed, config.first_seed + config.episodes)
    workers = min(config.workers, config.episodes)
    for name in known:
        task = load_task(name)
        check_fits(spec, task, config.run)
        with progress(config.episodes, f"evaluating {name}", "episodes") as advance:
            one = evaluate(task, config.run, seeds, workers, advance, config.randomise)
        print(f"{name}: {success_text(one.success, one.steps, config.first_seed)}")
        found[name] = one.rate
        episodes += [bool(success) for success in one.success]
    mean = sum(found.values()) / len(found)
    told = {"task": ", ".join(known), "success": mean, "by_task": found, "episodes": episodes}
    write_json(config.run / "evaluation.json", {**told, "first_seed": config.first_seed})
    return found
