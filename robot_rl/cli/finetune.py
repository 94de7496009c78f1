"""`robot-rl finetune`: a trained policy goes on learning in its task's simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_rl.cli.common import plain, progress, save_config
from robot_rl.cli.reset_free_options import PracticeConfig
from robot_rl.cli.sinks import open_sinks
from robot_rl.errors import BadInput, need, need_installed

if TYPE_CHECKING:
    from robot_rl.data.replay import Transitions
    from robot_rl.learners.offline_run import OfflineRun
    from robot_rl.learners.online import OnlineLearner
    from robot_rl.policies.policy import Policy
    from robot_rl.report.learning_curve import Point

INTERRUPTED = "the same command continues from the last saved step"


@dataclass(frozen=True)
class Config:
    """Let a trained policy go on learning in simulation. The same command continues a killed run."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run of robot-rl train; it is not changed."""
    out: Path | None = None
    """Folder of the online run; default: online/ inside RUN. It holds the last policy, best/, online.jsonl
    and learning_curve.svg."""
    task: str | None = None
    """Name of the task card; default: the task that the run was trained for."""
    steps: int = 20_000
    """Environment steps; a finished run continues where more are asked for."""
    reward: str = "true"
    """Where rewards come from: true is the simulator's; else the folder of a labeling (from robot-rl label),
    whose learned reward judges the rendered picture at each step; with --reset-free, two such
    folders with a comma between, forward first, or success: 1 where the goal is reached, else 0."""
    data: Path | None = None
    """Dataset to mix in; default: the one that RUN was trained on."""
    data_reward: str = ""
    """Column of the dataset's rewards; default: the one that RUN was trained with."""
    mix: float = 0.5
    """Share of each batch that comes from the dataset; 0 needs none."""
    warmup: int = 1000
    """First environment steps, in which the policy stays as it is and collects what updates then draw from;
    WSRL is --mix 0 --warmup 5000."""
    utd: int | None = None
    """Updates an environment step; default: the algorithm's own, or 1."""
    batch_size: int | None = None
    """Transitions an update; default: as offline."""
    n_step: int | None = None
    """Rewards summed before the value of what follows is trusted; default: as offline."""
    learning_rate: float | None = None
    """Of Adam; default: as offline. That of iql's actor, which fell to 0 there, rises in 2000 updates."""
    average: float = 0.995
    """What stays of the deployed policy, a moving average of the actor, at an update; 0 deploys the actor."""
    seed: int = 0
    """Seed of actions, batches and episodes."""
    seeds: int = 1
    """Number of runs, with seeds from 0 on, in seed-0/ … inside the folder; more than 1 prints their mean."""
    workers: int = 1
    """Runs at a time, where there are several seeds."""
    eval_every: int = 2000
    """Environment steps between evaluations."""
    episodes: int = 20
    """Episodes of an evaluation, without noise, in an environment of its own."""
    first_seed: int = 10_000
    """Seed of an evaluation's first episode; the others follow."""
    log_every: int = 500
    """Environment steps between lines of the log."""
    save_every: int = 1000
    """Environment steps after which the next end of an episode saves all that a killed run continues from."""
    tensorboard: bool = False
    """Write the log for TensorBoard as well (extra: tensorboard)."""
    wandb: bool = False
    """Send the log to Weights & Biases as well (extra: wandb); WANDB_MODE=offline keeps it in the folder."""
    threads: int = 1
    """Processor threads; small networks are fastest with 1."""
    reset_free: bool = False
    """Practise a task and its reverse in turns in one world that is never set up anew; RUN is of both
    (robot-rl train FORWARD BACKWARD --by-task). A task that goes on by itself, such as go2_walk, needs no
    reverse: each try begins where the last one ended, and the robot gets up by a script after a fall."""
    practice: PracticeConfig = field(default_factory=PracticeConfig)
    """How, with --reset-free."""


def main(config: Config) -> None:
    """Fine-tune, and print success before and after with its interval and where the policy is."""
    need("torch", "sim")
    out = config.out or config.run / "online"
    for name in ("tensorboard", "wandb"):
        if getattr(config, name):
            need_installed(name, name)
    if config.episodes < 1:
        raise BadInput(f"--episodes: must be at least 1, not {config.episodes}")
    if config.reset_free:
        from robot_rl.cli.reset_free_run import run

        run(config)
        return
    if config.seeds == 1:
        _print_result(out, _finetune(config, config.seed, out))
        return
    from robot_rl.cli.seeds import run_seeds

    if not (out / "config.yaml").exists():
        save_config(config, out / "config.yaml")
    run_seeds(out, config.seeds, partial(_last_success, config), config.workers)
    _draw_seeds(out, [out / f"seed-{seed}" for seed in range(config.seeds)])


def _last_success(config: Config, seed: int, out: Path) -> float:
    """Success of the last policy of one run."""
    return _finetune(config, seed, out)[-1].mean


def _finetune(config: Config, seed: int, out: Path) -> list[Point]:
    """Do or continue one run; returns its evaluations."""
    from robot_rl.cli.evaluate import check_fits
    from robot_rl.envs.make import make_task
    from robot_rl.learners.offline_run import load_offline
    from robot_rl.learners.online import OnlineConfig, OnlineLearner
    from robot_rl.policies.conditioning import tasks_of
    from robot_rl.report.learning_curve import write_learning_curve
    from robot_rl.specs.tasks import load_task

    offline = load_offline(config.run)
    task = load_task(config.task or offline.spec.task)
    check_fits(offline.spec, task, config.run)
    if len(offline.spec.state_names) < len(task.state):
        raise BadInput(
            f"{config.run}: its policy sees a part of the state; only one that sees all goes online"
        )
    if tasks_of(offline.spec.state_names):
        raise BadInput(f"{config.run}: is a policy of several tasks; give --reset-free")
    names = {field.name for field in fields(OnlineConfig)} & {field.name for field in fields(Config)}
    settings = replace(OnlineConfig(**{name: getattr(config, name) for name in names}), seed=seed)
    transitions = offline_transitions(config, offline) if config.mix else None
    env, judged = make_task(task), make_task(task)
    reward = None if config.reward == "true" else learned_reward(Path(config.reward), env)
    about = {"task": task.name, "reward": config.reward}
    also = {"tensorboard": config.tensorboard, "wandb": config.wandb}
    with open_sinks(out, plain(replace(config, seed=seed)), **also) as sink:
        learner = OnlineLearner(out, offline, settings, transitions, sink, about)
        _run(config, learner, seed, out, env, judged, reward)
    env.close()
    judged.close()
    points = points_of(learner)
    write_learning_curve(out / "learning_curve.svg", points, f"{task.name}: {config.run.name} goes on online")
    return points


def _run(
    config: Config,
    learner: OnlineLearner,
    seed: int,
    out: Path,
    env: Any,
    judged: Any,
    reward: Callable[[], float] | None,
) -> None:
    """Let the learner act in `env`, judged in `judged`."""
    from robot_rl.learners.finetune import finetune

    if not (out / "config.yaml").exists():
        save_config(replace(config, seed=seed, seeds=1, out=out), out / "config.yaml")
    seeds = range(config.first_seed, config.first_seed + config.episodes)
    with progress(learner.config.steps, f"{learner.offline.config.algorithm} online", "steps") as advance:
        finetune(learner, env, partial(judge, judged, seeds), reward, advance)


def offline_transitions(config: Config, offline: OfflineRun) -> Transitions:
    """The transitions that the run was trained on, or those of another dataset; raises BadInput."""
    from robot_rl.cli.train import before_frame, count_kept
    from robot_rl.data.replay import transitions_from_dataset
    from robot_rl.data.store import Dataset
    from robot_rl.learners.prepare import data_hash
    from robot_rl.specs.yaml_model import read_yaml

    made = read_yaml(config.run / "config.yaml") if (config.run / "config.yaml").exists() else {}
    path = config.data or made.get("dataset")
    if path is None:
        raise BadInput(f"--data: is missing; {config.run} does not say on what it was trained (or --mix 0)")
    dataset = Dataset.open(path)
    column = config.data_reward or offline.spec.reward_source
    if column not in ("next.reward", *dataset.info.labels):
        raise BadInput(f"--data-reward: {path} has no column '{column}'; choose the one with the rewards")
    transitions = transitions_from_dataset(dataset, column)
    if config.data is None:  # leave out what was kept aside
        kept = count_kept(made.get("holdout", 0.0), len(dataset))
        transitions = before_frame(transitions, int(dataset.lengths[:kept].sum()))
        if not config.data_reward and data_hash(transitions) != offline.data_hash:
            raise BadInput(
                f"{path} has changed since {config.run} was trained on it; name the data by --data"
            )
    return transitions


def learned_reward(labeling: Path, env: Any) -> Callable[[], float]:
    """A function that renders `env` and gives the learned reward of what is seen now; raises BadInput."""
    need("torch", "vlm")
    from robot_rl.cli.common import load_config
    from robot_rl.cli.label import Config as LabelConfig
    from robot_rl.cli.labeling import load_encoder, resolve_goal
    from robot_rl.rewards.model import RewardModel

    if not (labeling / "reward").exists():
        raise BadInput(f"--reward: {labeling} is no labeling with a reward model in reward/; or give true")
    made = load_config(LabelConfig, labeling / "config.yaml")
    encoder = load_encoder(made.model, made.weights, resolve_goal(made.task, made.opposite, made.labeler))
    model = RewardModel.load(labeling / "reward", encoder.identity)
    return lambda: float(model.reward(encoder.images(env.render()[None]))[0][0])


def judge(env: Any, seeds: range, policy: Policy) -> dict[str, float]:
    """Evaluate a policy on the same starts each time: success with its Wilson interval, and mean return."""
    from robot_rl.learners.finetune import evaluate_policy
    from robot_rl.report.statistics import wilson

    success, returns = evaluate_policy(env, policy, seeds)
    found = wilson(int(success.sum()), len(success))
    interval = {"success": found.mean, "success_low": found.low, "success_high": found.high}
    return {**interval, "return": float(returns.mean()), "episodes": len(success)}


def points_of(learner: OnlineLearner) -> list[Point]:
    """The evaluations in a run's log, in order."""
    from robot_rl.report.learning_curve import Point

    names = ("eval_success", "eval_success_low", "eval_success_high")
    rows = [row for row in learner.rows() if "eval_success" in row]
    return [Point(row["step"], *(row[name] for name in names)) for row in rows]


def _print_result(out: Path, points: list[Point]) -> None:
    """Say how success changed and where things are."""
    for name, point in (("before", points[0]), ("after", points[-1])):
        print(
            f"{name}: success {point.mean:.2f} (95 % interval {point.low:.2f} to {point.high:.2f}) "
            f"at step {point.step}"
        )
    print(f"policy: {out}; the best so far: {out / 'best'}; curve: {out / 'learning_curve.svg'}")


def _draw_seeds(out: Path, folders: list[Path]) -> None:
    """Draw the interquartile mean of several runs with its interval."""
    import json

    import numpy as np

    from robot_rl.report.aggregate import stratified_bootstrap
    from robot_rl.report.learning_curve import Point, write_learning_curve

    found: list[dict[int, float]] = []
    for folder in folders:
        rows = [json.loads(line) for line in (folder / "online.jsonl").read_text().splitlines()]
        found.append({row["step"]: row["eval_success"] for row in rows if "eval_success" in row})
    steps = sorted(set.intersection(*(set(run) for run in found)))
    runs = [[run[step] for step in steps] for run in found]
    means = [stratified_bootstrap(values) for values in np.array(runs).T]
    points = [Point(step, m.mean, m.low, m.high) for step, m in zip(steps, means, strict=True)]
    path = write_learning_curve(out / "learning_curve.svg", points, f"{len(folders)} seeds", runs)
    print(f"curve: {path}")
