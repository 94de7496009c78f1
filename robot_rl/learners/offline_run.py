"""A finished offline run as fine-tuning takes it up: settings, scale and the learner's whole state."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from torch import Tensor

from robot_rl.errors import BadInput
from robot_rl.learners.prepare import Scaler
from robot_rl.learners.run_folder import RunFolder
from robot_rl.learners.train import ALGORITHMS, TrainConfig
from robot_rl.policies.checkpoint import PolicySpec, load_spec


@dataclass(frozen=True)
class OfflineRun:
    """What `load_offline` found in the folder of a run."""

    root: Path
    config: TrainConfig
    spec: PolicySpec
    scaler: Scaler  # of the data it was trained on
    state: dict[str, Tensor]  # the learner's, and the generator's
    data_hash: str  # of the transitions it was trained on


def load_offline(folder: str | Path) -> OfflineRun:
    """Read a finished run of `robot-rl train`; raises BadInput naming what is missing."""
    run = RunFolder(Path(folder))
    spec = load_spec(folder)
    if spec.algorithm not in ALGORITHMS:
        raise BadInput(f"{folder} was trained by {spec.algorithm}; fine-tuning takes up iql, calql and rlpd")
    head, state = run.head(), run.read_state()
    if head is None:
        raise BadInput(f"{folder} has no train.jsonl; fine-tuning continues a run of `robot-rl train`")
    if state is None:
        raise BadInput(
            f"{folder} has no state/state.safetensors, the learner's whole state, which runs of earlier "
            "versions did not keep; train again into another folder"
        )
    scaler = Scaler(
        spec.observation_mean,
        spec.observation_std,
        np.float32(spec.action_low),
        np.float32(spec.action_high),
        head["reward_mean"],
        head["reward_std"],
    )
    return OfflineRun(run.root, _train_config(head["config"], folder), spec, scaler, state, head["data_hash"])


def _train_config(values: dict, folder: str | Path) -> TrainConfig:
    """The config of the log's first line; raises BadInput for one that this version cannot continue."""
    unknown = sorted(set(values) - {f.name for f in fields(TrainConfig)})
    if unknown:
        raise BadInput(f"{folder}/train.jsonl: config has '{unknown[0]}', which this version does not know")
    return TrainConfig(**{**values, "hidden": tuple(values["hidden"])})
