"""`robot-rl train`: a dataset in, a policy checkpoint out, with its action error on episodes kept aside."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from robot_rl.cli.common import progress, save_config, table
from robot_rl.errors import BadInput, nearest, need

if TYPE_CHECKING:
    import numpy as np

    from robot_rl.data.replay import Transitions
    from robot_rl.data.store import Dataset
    from robot_rl.policies.action_error import ActionError

INTERRUPTED = "the same command continues from the last saved step"


@dataclass(frozen=True)
class Config:
    """Train a policy on a dataset's states and actions. The same command continues a killed run."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset."""
    out: Path
    """Folder of the run, e.g. runs/drawer: the checkpoint, the log train.jsonl and config.yaml."""
    algo: Literal["iql", "bc"] = "iql"
    """iql learns from rewards (Implicit Q-Learning); bc repeats the data's actions and needs none."""
    steps: int = 15_000
    """Updates."""
    batch_size: int = 128
    """Transitions an update."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer."""
    seed: int = 0
    """Seed of weights and batches."""
    reward: str = "next.reward"
    """Column of the rewards, for iql."""
    holdout: float = 0.0
    """Share of the episodes, the last ones, kept aside to measure the action error on."""
    action_limits: Literal["auto", "data", "unit"] = "auto"
    """Actions range over -1 to 1 (unit) or as in the data (data); auto goes by the units of the actions."""
    discount: float = 0.99
    """iql: weight of the next step's value."""
    expectile: float = 0.9
    """iql: 0.5 values the data's average action, towards 1 its best."""
    temperature: float = 3.0
    """iql: how much more better actions weigh; 0 is bc."""
    target_rate: float = 0.005
    """iql: step of the target critics' moving average."""
    learning_rate: float = 3e-4
    """Of Adam; the actor's falls to 0 along a cosine."""
    log_every: int = 100
    """Updates between lines of the log."""
    save_every: int = 2000
    """Updates between saves of the state that a killed run continues from."""
    threads: int = 1
    """Processor threads; small networks are fastest with 1."""


def main(config: Config) -> None:
    """Train, and print where the policy is and how its actions compare with recorded ones."""
    from robot_rl.data.replay import transitions_from_dataset
    from robot_rl.data.store import Dataset

    ds = Dataset.open(config.dataset)
    reward = _reward_column(config, ds)
    kept = count_kept(config.holdout, len(ds))
    need("torch", "train")
    from robot_rl.learners.describe import describe_policy
    from robot_rl.learners.train import TrainConfig, train

    end = int(ds.lengths[:kept].sum())  # frames to learn from
    transitions = before_frame(transitions_from_dataset(ds, reward), end)
    description = describe_policy(ds, transitions.actions, reward or "", config.action_limits)
    names = {field.name for field in dataclasses.fields(TrainConfig)} - {"algorithm"}
    settings = TrainConfig(config.algo, **{name: getattr(config, name) for name in names})
    if not (config.out / "train.jsonl").exists():
        save_config(config, config.out / "config.yaml")
    print(f"{config.dataset}: {kept} of {len(ds)} episodes to learn from, {len(transitions)} transitions")
    with progress(config.steps, config.algo, "updates") as advance:
        train(transitions, config.out, settings, description=description, progress=advance)
    _print_result(config.out)
    if kept < len(ds):
        _measure(config.out, ds, kept, end)


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
    import numpy as np

    keep = transitions.frame < end
    arrays = {f.name: getattr(transitions, f.name) for f in dataclasses.fields(transitions)}
    return dataclasses.replace(
        transitions, **{name: a[keep] for name, a in arrays.items() if isinstance(a, np.ndarray)}
    )


def _reward_column(config: Config, ds: Dataset) -> str | None:
    """The column of rewards, None for bc; raises BadInput where the dataset has none."""
    if config.algo == "bc":
        return None
    numbers = [*(["next.reward"] if ds.info.has_rewards else []), *ds.info.labels]
    if config.reward not in numbers:
        raise BadInput(
            f"{ds.root} has no column '{config.reward}' of rewards.{nearest(config.reward, numbers)} "
            "Label the dataset first (robot-rl label), or clone its actions without rewards (--algo bc)"
        )
    return config.reward


def _print_result(out: Path) -> None:
    """Say where the policy is, and what was done to the actions and the rewards."""
    with (out / "train.jsonl").open(encoding="utf-8") as file:
        head = json.loads(file.readline())
    print(f"policy: {out}")
    if head["clipped_actions"]:
        share = head["clipped_actions"] / head["transitions"]
        print(f"note: {head['clipped_actions']} transitions ({share:.1%}) have actions clipped to the limits")


def _measure(out: Path, ds: Dataset, kept: int, end: int) -> None:
    """Print the action error on the episodes from `kept` on and write it to action_error.json."""
    from robot_rl.policies.action_error import action_errors, summary
    from robot_rl.policies.policy import MlpPolicy

    states, actions = ds.column("observation.state"), ds.column("action")
    std: np.ndarray = actions[:end].std(0, dtype="float64")
    errors = action_errors(MlpPolicy.load(out), states[end:], actions[end:], std)
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
