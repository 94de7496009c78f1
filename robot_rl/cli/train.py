"""`robot-rl train`: a dataset in, a policy checkpoint out, with its action error on episodes kept aside."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_rl.cli.common import plain, progress, save_config, table
from robot_rl.cli.sinks import open_sinks
from robot_rl.errors import BadInput, nearest, need, need_installed

if TYPE_CHECKING:
    import numpy as np

    from robot_rl.data.replay import Transitions
    from robot_rl.data.replay_file import ReplayFile
    from robot_rl.data.store import Dataset
    from robot_rl.learners.train import TrainConfig
    from robot_rl.policies.action_error import ActionError
    from robot_rl.policies.checkpoint import PolicyDescription

INTERRUPTED = "the same command continues from the last saved step"
D3RLPY = "d3rlpy:"  # before the name of an algorithm


@dataclass(frozen=True)
class Config:
    """Train a policy on a dataset's states and actions. The same command continues a killed run."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset."""
    out: Path
    """Folder of the run, e.g. runs/drawer: the checkpoint, the log train.jsonl and config.yaml."""
    algo: str = "iql"
    """iql, calql or rlpd learn from rewards; bc repeats the data's actions and needs none; d3rlpy:NAME is one
    of d3rlpy's, e.g. d3rlpy:cql, with its own defaults for whatever is not below."""
    steps: int = 15_000
    """Updates."""
    batch_size: int = 128
    """Transitions an update."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer."""
    seed: int = 0
    """Seed of weights and batches."""
    reward: str = "next.reward"
    """Column of the rewards, next.success for 1 where the task is done and 0 elsewhere; bc needs none."""
    holdout: float = 0.0
    """Share of the episodes, the last ones, kept aside to measure the action error on."""
    action_limits: Literal["auto", "data", "unit"] = "auto"
    """Actions range over -1 to 1 (unit) or as in the data (data); auto goes by the units of the actions."""
    observe: tuple[str, ...] = ()
    """What the policy sees: names of parts of the state, and image.CAMERA; default: the whole state. For
    instance: hand_x hand_y hand_z gripper_opening image.side."""
    encoder: str = "in-domain"
    """What makes numbers of pictures: in-domain is the task's own image-text model, frozen (in-domain:TASK
    where the dataset names no task; trained once on pictures of random simulator states); cnn is a small
    network that the critic of iql trains on the data's pictures, shifted at random."""
    on_disk: bool = False
    """Keep the transitions in a file of the cache folder, written once, in place of memory: for datasets
    that are larger than memory (8 bytes a number of the state and 4 of the action a step)."""
    discount: float = 0.99
    """Weight of the next step's value; not for bc."""
    expectile: float = 0.9
    """iql: 0.5 values the data's average action, towards 1 its best."""
    temperature: float = 3.0
    """iql: how much more better actions weigh; 0 is bc."""
    target_rate: float = 0.005
    """Step of the target critics' moving average; not for bc."""
    learning_rate: float = 3e-4
    """Of Adam; the actor's of iql and bc falls to 0 along a cosine, d3rlpy's stay."""
    log_every: int = 100
    """Updates between lines of the log."""
    save_every: int = 2000
    """Updates between saves of the state that a killed run continues from."""
    tensorboard: bool = False
    """Write the log for TensorBoard as well (extra: tensorboard); not for d3rlpy."""
    wandb: bool = False
    """Send the log to Weights & Biases as well (extra: wandb); WANDB_MODE=offline keeps it in the folder."""
    threads: int = 1
    """Processor threads; small networks are fastest with 1."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cuda trains iql and bc on a GPU, each update captured as a CUDA graph."""
    more: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MORE")] = ()
    """With --by-task: further datasets, of other tasks or of the same."""
    by_task: bool = False
    """Train one policy for the tasks of several datasets, which is told by `task.NAME` in its state which of
    them is asked for."""
    n_step: int = 1
    """Rewards that are summed before the value of what follows is trusted; not for calql and d3rlpy."""
    settings: dict[str, str] = field(default_factory=dict)
    """The algorithm's own settings: cql_alpha 1 n_actions 4 (calql), critics 2 dropout 0.01 (rlpd) …"""
    seeds: int = 1
    """Train so many times, with seeds from --seed on, into OUT/seed-0 and so on, and say what they have in
    common: success in simulation where the task has one, else the action error (needs --holdout)."""


def main(config: Config) -> None:
    """Train, once or with several seeds."""
    if config.seeds == 1:
        train_one(config)
        return
    from robot_rl.cli.seeds import run_seeds

    score = _score(config)
    run_seeds(config.out, config.seeds, functools.partial(_scored, config, score), score=score)


def _score(config: Config) -> str:
    """What several runs are compared by; raises BadInput where nothing can be measured."""
    from robot_rl.data.store import Dataset
    from robot_rl.specs.tasks import task_names

    if Dataset.open(config.dataset).info.metadata.get("task") in task_names():
        need_installed("metaworld", "sim")
        return "success"
    if not config.holdout:
        raise BadInput("--seeds: needs --holdout, as no simulator can say how good the policies are")
    return "action error"


def _scored(config: Config, score: str, seed: int, out: Path) -> float:
    """Train with one seed, and measure."""
    train_one(dataclasses.replace(config, seed=config.seed + seed, out=out, seeds=1))
    if score == "action error":
        return json.loads((out / "action_error.json").read_text())["rms_in_std"]
    if not (out / "evaluation.json").exists():
        from robot_rl.cli.evaluate import Config as EvaluateConfig
        from robot_rl.cli.evaluate import main as evaluate

        evaluate(EvaluateConfig(out))
    return json.loads((out / "evaluation.json").read_text())["success"]


def train_one(config: Config) -> None:
    """Train, and print where the policy is and how its actions compare with recorded ones."""
    from robot_rl.cli.observing import check_algorithm, look
    from robot_rl.data.replay import transitions_from_dataset
    from robot_rl.data.store import Dataset

    if config.by_task or config.more:
        from robot_rl.cli.train_tasks import train_by_task

        train_by_task(config)
        return
    ds = Dataset.open(config.dataset)
    need("torch", "train")
    from robot_rl.learners.cuda_graph import checked_device

    check_known(config.algo)
    check_algorithm(config.algo, config.observe, config.encoder)
    checked_device(config.device, config.algo)
    for name in ("tensorboard", "wandb"):
        if getattr(config, name):
            need_installed(name, name)
    reward = reward_column(config, ds)
    kept = count_kept(config.holdout, len(ds))
    from robot_rl.learners.describe import describe_policy

    end = int(ds.lengths[:kept].sum())  # frames to learn from
    settings = settings_of(config)
    sight = look(ds, config.observe, config.encoder, end)
    if config.on_disk:
        transitions = _on_disk(config, ds, reward).first(kept)
    else:
        transitions = before_frame(transitions_from_dataset(ds, reward, sight.observed), end)
    limits, sees = config.action_limits, {"parts": sight.state_names, "images": sight.images}
    description = describe_policy(ds, transitions.actions, reward or "", limits, **sees)
    if not (config.out / "train.jsonl").exists():
        save_config(config, config.out / "config.yaml")
    print(f"{config.dataset}: {kept} of {len(ds)} episodes to learn from, {len(transitions)} transitions")
    seen = {"encoders": sight.encoders, "pictures": sight.pictures(ds, transitions)}
    if not run_training(config, settings, transitions, description, seen):
        print(_NOT_DEPLOYABLE.format(algo=config.algo, out=config.out))
        return
    print_result(config.out)
    if kept < len(ds):
        _measure(config.out, ds, kept, end)


_NOT_DEPLOYABLE = (
    "no policy: the actor of {algo} is not one tanh network that only sees the state, so it cannot be "
    "deployed; all that it learned is in {out}/d3rlpy.safetensors"
)


def settings_of(config: Config) -> TrainConfig:
    """What the learners know of the options; raises BadInput."""
    from robot_rl.learners.train import TrainConfig

    names = {field.name for field in dataclasses.fields(TrainConfig)} & set(vars(config))
    algorithm = "iql" if config.algo.startswith(D3RLPY) else config.algo
    values = {name: getattr(config, name) for name in names} | {"settings": _own_settings(config.settings)}
    return TrainConfig(algorithm, **values)


def _own_settings(told: dict[str, str]) -> dict[str, object]:
    """Read settings as YAML reads values: numbers, true and false, lists."""
    import yaml

    try:
        return {name: yaml.safe_load(value) for name, value in told.items()}
    except yaml.YAMLError as error:
        raise BadInput(f"--settings: {told} holds a value that cannot be read: {error}") from error


def run_training(
    config: Config,
    settings: TrainConfig,
    transitions: Transitions,
    description: PolicyDescription,
    seen: Mapping[str, Any],
) -> bool:
    """Train and say whether a checkpoint came out; `seen` are encoders and pictures, for `train`."""
    with _progress(config) as advance:
        if config.algo.startswith(D3RLPY):
            from robot_rl.learners.d3rlpy_adapter import train_d3rlpy

            name, more = config.algo.removeprefix(D3RLPY), {"description": description, "progress": advance}
            return train_d3rlpy(transitions, config.out, name, settings, **more)
        from robot_rl.learners.train import train

        also = {"tensorboard": config.tensorboard, "wandb": config.wandb}
        with open_sinks(config.out, plain(config), **also) as log:
            more = {"description": description, "progress": advance, "log": log}
            train(transitions, config.out, settings, **more, **seen)
        return True


@contextlib.contextmanager
def _progress(config: Config) -> Iterator[Callable[..., None]]:
    """Show the updates; a run of d3rlpy that is interrupted says that it will begin anew."""
    try:
        with progress(config.steps, config.algo, "updates") as advance:
            yield advance
    except KeyboardInterrupt as interrupt:
        anew = "d3rlpy's state is not saved: the same command begins anew"
        raise KeyboardInterrupt(anew if config.algo.startswith(D3RLPY) else "") from interrupt


def _on_disk(config: Config, ds: Dataset, reward: str | None) -> ReplayFile:
    """The transitions in a file; raises BadInput for what only memory serves."""
    from robot_rl.data.replay_file import replay_file

    if config.observe or config.algo.startswith(D3RLPY):
        raise BadInput("--on-disk: holds whole states for our own algorithms; leave out --observe and d3rlpy")
    with progress(ds.info.total_frames, "writing transitions", "frames") as advance:
        return replay_file(ds, reward, advance)


def check_known(name: str) -> None:
    """Raise BadInput for a name that is neither ours nor d3rlpy's."""
    from robot_rl.learners.train import ALGORITHMS

    if name.startswith(D3RLPY):
        from robot_rl.learners.d3rlpy_adapter import algorithms

        known = [D3RLPY + one for one in algorithms()]
    else:
        known = [*ALGORITHMS, D3RLPY + "NAME"]
    if name not in known or name == D3RLPY + "NAME":
        raise BadInput(f"--algo: no algorithm '{name}'.{nearest(name, known)}")


def count_kept(holdout: float, episodes: int) -> int:
    """How many episodes to learn from; raises BadInput where the share leaves none for one of the two."""
    if not 0 <= holdout < 1:
        raise BadInput(f"--holdout must be a share of the episodes from 0 to below 1, not {holdout}")
    if not holdout:
        return episodes
    kept = episodes - max(1, round(holdout * episodes))
    if kept < 1:
        raise BadInput(f"--holdout {holdout} of {episodes} episodes leaves none to learn from")
    return kept


def before_frame(transitions: Transitions, end: int) -> Transitions:
    """The transitions of the dataset's frames before `end`."""
    return _those(transitions, transitions.frame < end)


def from_frame(transitions: Transitions, start: int) -> Transitions:
    """The transitions of the dataset's frames from `start` on."""
    return _those(transitions, transitions.frame >= start)


def _those(transitions: Transitions, keep: np.ndarray) -> Transitions:
    import numpy as np

    arrays = {f.name: getattr(transitions, f.name) for f in dataclasses.fields(transitions)}
    return dataclasses.replace(
        transitions, **{name: a[keep] for name, a in arrays.items() if isinstance(a, np.ndarray)}
    )


def reward_column(config: Config, ds: Dataset) -> str | None:
    """The column of rewards, None for bc; raises BadInput where the dataset has none."""
    if config.algo.removeprefix(D3RLPY) == "bc":
        return None
    known = {"next.reward": ds.info.has_rewards, "next.success": ds.info.has_success}
    numbers = [*(name for name, there in known.items() if there), *ds.info.labels]
    if config.reward not in numbers:
        raise BadInput(
            f"{ds.root} has no column '{config.reward}' of rewards.{nearest(config.reward, numbers)} "
            "Label the dataset first (robot-rl label), or clone its actions without rewards (--algo bc)"
        )
    return config.reward


def print_result(out: Path) -> None:
    """Say where the policy is, and what was done to the actions and the rewards."""
    with (out / "train.jsonl").open(encoding="utf-8") as file:
        head = json.loads(file.readline())
    print(f"policy: {out}")
    if head["clipped_actions"]:
        share = head["clipped_actions"] / head["transitions"]
        print(f"note: {head['clipped_actions']} transitions ({share:.1%}) have actions clipped to the limits")


def _measure(out: Path, ds: Dataset, kept: int, end: int) -> None:
    """Print the action error on the episodes from `kept` on and write it to action_error.json."""
    from robot_rl.cli.observing import recorded_actions
    from robot_rl.policies.action_error import action_errors, summary
    from robot_rl.policies.image_policy import load_policy

    actions, policy = ds.column("action"), load_policy(out)
    std: np.ndarray = actions[:end].std(0, dtype="float64")
    errors = action_errors(policy.spec, recorded_actions(policy, ds, end), actions[end:], std)
    result = {"episodes": list(range(kept, len(ds))), "steps": len(actions) - end, **summary(errors)}
    (out / "action_error.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\naction error on {len(ds) - kept} episodes kept aside, {result['steps']} steps")
    print(_table(errors))
    if result["rms_in_std"] is not None:
        print(f"mean RMS: {result['rms_in_std']:.3g} of the actions' std; their mean would give about 1")


def _table(errors: list[ActionError]) -> str:
    header = ("action", "unit", "mean abs", "RMS", "std of data", "mean abs / std", "RMS / std")
    rows = [
        (e.name, e.unit or "?", e.mean_absolute, e.rms, e.std, e.mean_absolute_in_std, e.rms_in_std)
        for e in errors
    ]
    return table(header, [["-" if cell is None else cell for cell in row] for row in rows])
