"""`robot-rl evaluate`: a policy's success in simulation, with an interval and a video; or what data say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_rl.cli.common import progress

if TYPE_CHECKING:
    from robot_rl.envs.rollout import Evaluation


@dataclass(frozen=True)
class Config:
    """Run a policy without noise in simulation, one seed an episode; with --data, judge it by a dataset."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the checkpoint (policy.json and weights.safetensors)."""
    task: str | None = None
    """Name of the task card; default: the task that the checkpoint was trained for, or each of them."""
    episodes: int = 20
    """Number of episodes."""
    first_seed: int = 10_000
    """Seed of the first episode; the others follow."""
    workers: int = os.cpu_count() or 1
    """Processes at work at a time; the result does not depend on it."""
    video: Path | None = None
    """Film the first episode to this MP4."""
    randomise: bool = False
    """Draw light, colours, camera, masses, friction, latency and sensor noise anew for each episode, from the
    task card's ranges."""
    data: Path | None = None
    """Folder of a dataset: estimate the policy's value from its episodes (fitted Q evaluation, extra d3rlpy)
    and compare its actions with theirs instead of simulating; written to ope.json in the run."""
    holdout: float | None = None
    """With --data: share of the episodes, the last ones, to use; default: those that training kept aside, or
    all of them."""
    reward: str | None = None
    """With --data: column of the rewards; default: that which the policy learned from."""
    fqe_steps: int = 30_000
    """With --data: updates of each of the 3 fits, hundreds a second; 0 compares the actions only."""


def main(config: Config) -> None:
    """Evaluate, print success with its 95 % Wilson interval, and write evaluation.json into the run."""
    from robot_rl.errors import BadInput, need

    if config.data:
        from robot_rl.cli.evaluate_data import evaluate_on_data

        evaluate_on_data(config.run, config.data, config.reward, config.holdout, config.fqe_steps)
        return
    need("torch", "sim")
    from robot_rl.cli.arms import write_json
    from robot_rl.envs.rollout import evaluate
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.policies.conditioning import tasks_of
    from robot_rl.specs.tasks import load_task

    for name in ("episodes", "workers"):
        if getattr(config, name) < 1:
            raise BadInput(f"--{name}: must be at least 1, not {getattr(config, name)}")
    spec = load_spec(config.run)
    if config.task is None and tasks_of(spec.state_names):
        from robot_rl.cli.train_tasks import evaluate_tasks

        evaluate_tasks(config, tasks_of(spec.state_names))
        return
    task = load_task(config.task or spec.task)
    check_fits(spec, task, config.run)
    seeds = range(config.first_seed, config.first_seed + config.episodes)
    with progress(config.episodes, "evaluating", "episodes") as advance:
        workers = min(config.workers, config.episodes)
        result = evaluate(task, config.run, seeds, workers, advance, config.randomise)
    write_json(
        config.run / "evaluation.json",
        {"task": task.name, "success": result.rate, "episodes": [bool(s) for s in result.success],
         "first_seed": config.first_seed, "mean_return": float(result.returns.mean()),
         **({"measured": means_of(result)} if result.measured else {}),
         **({"randomised": True} if config.randomise else {})},
    )  # fmt: skip
    print(success_text(result.success, result.steps, config.first_seed))
    if result.measured:
        print(f"means: {', '.join(f'{name} {value:.3f}' for name, value in means_of(result).items())}")
    if config.video:
        save_film(task, config.run, config.first_seed, config.video, config.randomise)
        print(f"video: {config.video}")


def means_of(result: Evaluation) -> dict[str, float]:
    """The means over the episodes of what a task measures, such as a walk's velocity_error (m/s)."""
    return {name: float(values.mean()) for name, values in result.measured.items()}


def success_text(success: Sequence[bool], steps: Sequence[int], first_seed: int) -> str:
    """One line on episodes: the share that succeeded with its 95 % Wilson interval, and their length."""
    from robot_rl.report.statistics import wilson

    count, reached = len(success), sum(map(bool, success))
    interval = wilson(reached, count)
    return (
        f"success {reached / count:.2f} (95 % interval {interval.low:.2f} to {interval.high:.2f}, "
        f"{count} episodes, seeds from {first_seed}); mean steps {sum(map(int, steps)) / count:.0f}"
    )


def check_fits(spec, task, run: Path) -> None:
    """Refuse a policy that acts otherwise than the task or sees what it does not have, by name."""
    from robot_rl.errors import BadInput
    from robot_rl.policies.conditioning import View, measured, tasks_of

    found, known = list(measured(spec.state_names)), [part.name for part in task.state]
    if tasks_of(spec.state_names):
        try:
            View(spec.state_names, task.name, known)
        except BadInput as error:
            raise BadInput(f"{run}/policy.json: {error}") from error
    elif not set(found) <= set(known):
        raise BadInput(f"{run}/policy.json: state_names is {found}, but task {task.name} has {known}")
    found, wanted = list(spec.action_names), [part.name for part in task.actions]
    if found != wanted:
        raise BadInput(f"{run}/policy.json: action_names is {found}, but task {task.name} has {wanted}")
    camera = task.camera
    for image in spec.images:
        if (image.camera, image.height, image.width) != (camera.name, camera.size, camera.size):
            raise BadInput(
                f"{run}/policy.json: images has camera '{image.camera}' of {image.height}x{image.width} "
                f"pixels, but task {task.name} has '{camera.name}' of {camera.size}x{camera.size}"
            )


def save_film(task, run: Path, seed: int, path: Path, randomise: bool = False) -> bool:
    """Film one episode to an MP4 and say whether it succeeded."""
    from robot_rl.envs.rollout import film
    from robot_rl.report.video import encode_mp4

    pictures, reached = film(task, run, seed, randomise=randomise)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_mp4(pictures, fps=task.control_rate / 2))
    return reached
