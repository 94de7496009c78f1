"""`robot-rl evaluate --data`: a policy against recorded episodes alone, where no simulator can run.

Fitted Q evaluation estimates its value, the action error says how far it is from what was done; both go to
ope.json in the run.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_rl.cli.common import progress, table
from robot_rl.errors import BadInput

if TYPE_CHECKING:
    from robot_rl.data.store import Dataset
    from robot_rl.policies.checkpoint import PolicySpec

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class _Episodes:
    """The last episodes of a dataset, from `first` on."""

    dataset: Dataset
    first: int
    held_out: bool  # whether the policy was trained without them, as far as its run says

    @property
    def frame(self) -> int:
        return int(self.dataset.lengths[: self.first].sum())


def evaluate_on_data(run: Path, data: Path, reward: str | None, holdout: float | None, steps: int) -> None:
    """Print and write to RUN/ope.json what the episodes of `data` say of the policy; raises BadInput.

    Without rewards, or with 0 steps, the action error alone.
    """
    from robot_rl.cli.arms import write_json
    from robot_rl.data.store import Dataset
    from robot_rl.policies.checkpoint import load_checkpoint

    if steps < 0:
        raise BadInput(f"--fqe-steps: must be at least 0, not {steps}")
    weights, spec = load_checkpoint(run)
    ds = Dataset.open(data)
    _check_fits(spec, ds, run)
    chosen = _choose(ds, run, spec, holdout)
    column = _reward_column(ds, reward or spec.reward_source)
    error = _action_error(run, chosen)
    value = None if column is None or not steps else _value(weights, spec, chosen, column, steps)
    head = {
        "dataset": str(data),
        "dataset_hash": ds.content_hash,
        "episodes": [chosen.first, len(ds) - 1],
        "held_out": chosen.held_out,
    }
    write_json(run / "ope.json", head | {"value": value, "action_error": error})
    what = "kept aside in training" if chosen.held_out else "which the policy may have been trained on"
    print(f"{len(ds) - chosen.first} of {len(ds)} episodes of {data}, {what}")
    _print_value(value)
    _print_error(error)
    print(f"written: {run / 'ope.json'}")


def _check_fits(spec: PolicySpec, ds: Dataset, run: Path) -> None:
    """Refuse a dataset whose state or action is not the policy's, by the name of the field."""
    for field in ("state_names", "action_names"):
        found, wanted = list(getattr(spec, field)), list(getattr(ds.info, field))
        if found != wanted:
            raise BadInput(f"{run}/policy.json: {field} is {found}, but {ds.root} has {wanted}")


def _choose(ds: Dataset, run: Path, spec: PolicySpec, holdout: float | None) -> _Episodes:
    """The share of the episodes that is asked for, else what training kept aside, else all of them."""
    from robot_rl.cli.train import count_kept
    from robot_rl.specs.yaml_model import read_yaml

    config, same = run / "config.yaml", ds.content_hash == spec.dataset_hash
    aside = float(read_yaml(config).get("holdout") or 0) if config.exists() and same else 0.0
    trained = count_kept(aside, len(ds)) if same else 0  # a dataset of its own is held out as a whole
    if holdout is not None:
        first = count_kept(holdout, len(ds)) if holdout else 0
    else:
        first = trained if aside else 0
    return _Episodes(ds, first, first >= trained)


def _reward_column(ds: Dataset, name: str) -> str | None:
    """The column of rewards, None where neither the policy nor the dataset has one."""
    numbers = [*(["next.reward"] if ds.info.has_rewards else []), *ds.info.labels]
    if not name:
        return "next.reward" if ds.info.has_rewards else None
    if name not in numbers:
        raise BadInput(
            f"{ds.root} has no column '{name}' of rewards, from which the policy learned; "
            f"it has {', '.join(numbers) or 'none'}: choose one with --reward"
        )
    return name


def _value(weights: Any, spec: PolicySpec, chosen: _Episodes, column: str, steps: int) -> dict[str, Any]:
    """Fitted Q evaluation, JSON-able."""
    from robot_rl.cli.train import from_frame
    from robot_rl.data.replay import transitions_from_dataset
    from robot_rl.learners.fqe import fitted_q_evaluation

    transitions = from_frame(transitions_from_dataset(chosen.dataset, column), chosen.frame)
    discount = float(spec.config.get("discount", 0.99))
    with progress(steps * len(SEEDS), "evaluating", "updates") as advance:
        found = fitted_q_evaluation(
            weights, spec, transitions, discount=discount, steps=steps, seeds=SEEDS, progress=advance
        )
    return {
        **dataclasses.asdict(found),
        "mean": found.mean,
        "spread": found.spread,
        "plausible": found.plausible,
        "discount": discount,
        "updates": steps,
        "reward": column,
    }


def _action_error(run: Path, chosen: _Episodes) -> dict[str, Any]:
    """How far the policy's actions are from the recorded ones, JSON-able."""
    from robot_rl.policies.action_error import action_errors, summary
    from robot_rl.policies.policy import MlpPolicy

    states, actions = (chosen.dataset.column(name) for name in ("observation.state", "action"))
    std = actions.std(0, dtype="float64")
    policy = MlpPolicy.load(run)
    chose = policy.act(states[chosen.frame :])
    errors = action_errors(policy.spec, chose, actions[chosen.frame :], std)
    return {"steps": len(actions) - chosen.frame, **summary(errors)}


def _print_value(value: dict[str, Any] | None) -> None:
    if value is None:
        print("value: not estimated, for there are no rewards or no updates")
        return
    rows = [
        ("policy, estimated", value["mean"], f"± {value['spread']:.2g} over {len(value['values'])} seeds"),
        ("data, as recorded", value["data_return"], f"mean of {value['episodes']} episodes"),
    ]
    print(table(("value of the start states", "standardised", ""), rows))
    print(
        f"reward {value['reward']}, (r - {value['reward_mean']:.4g}) / {value['reward_std']:.4g}, discount "
        f"{value['discount']:g}; what lies beyond the recorded steps weighs {value['tail']:.2g}; "
        f"{value['updates']} updates build up {value['reached']:.0%} of a value"
    )
    if not value["plausible"]:
        low, high = value["allowed"]
        print(
            f"warning: a value is outside {low:.3g} to {high:.3g}, all that the rewards allow: the fit "
            "diverged, do not rely on it"
        )


def _print_error(error: dict[str, Any]) -> None:
    rms = error["rms_in_std"]
    told = "the recorded actions do not move" if rms is None else f"mean RMS {rms:.3g} of the actions' std"
    print(f"action error on {error['steps']} steps: {told}; always the mean action would give about 1")
