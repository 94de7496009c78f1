"""The training loop: transitions in, a policy checkpoint out; a killed run continues bit for bit."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from robot_rl import __version__
from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput, RobotRLError, nearest
from robot_rl.learners.batch import Batch, TransitionTable
from robot_rl.learners.bc import BC, BCConfig
from robot_rl.learners.iql import IQL, IQLConfig
from robot_rl.learners.prepare import Prepared, prepare
from robot_rl.learners.run_folder import RunFolder
from robot_rl.policies.checkpoint import PolicyDescription, PolicySpec, save_checkpoint

__all__ = ["Learner", "PolicyDescription", "TrainConfig", "train"]
ALGORITHMS = ("iql", "bc")


class Learner(Protocol):
    """What the loop trains."""

    step: int  # updates taken

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step; returns tensors to log, of which the loop takes the mean."""

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The tensors of a checkpoint."""

    def state_dict(self) -> dict[str, Tensor]:
        """All that continuing needs."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state_dict` gave."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run; discount, expectile, temperature and target_rate are IQL's alone."""

    algorithm: str = "iql"  # or "bc"
    steps: int = 15_000  # updates
    batch_size: int = 128
    hidden: tuple[int, ...] = (128, 128)  # units of each hidden layer
    seed: int = 0
    discount: float = 0.99
    expectile: float = 0.9
    temperature: float = 3.0
    target_rate: float = 0.005
    learning_rate: float = 3e-4
    log_every: int = 100  # updates
    save_every: int = 2000  # updates
    threads: int = 1  # of torch, in this process from now on

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise BadInput(f"no algorithm '{self.algorithm}'.{nearest(self.algorithm, ALGORITHMS)}")
        for name in ("steps", "batch_size", "log_every", "save_every", "threads", "learning_rate"):
            if getattr(self, name) <= 0:
                raise BadInput(f"{name} must be above 0, not {getattr(self, name)}")
        if not self.hidden or min(self.hidden) < 1:
            raise BadInput(f"hidden must name at least one layer of at least 1 unit, not {self.hidden}")
        for name in ("discount", "expectile", "target_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} must lie in 0 to 1, not {getattr(self, name)}")
        if self.temperature < 0:
            raise BadInput(f"temperature must be at least 0, not {self.temperature}")


def train(
    transitions: Transitions,
    out: Path,
    config: TrainConfig,
    *,
    description: PolicyDescription,
    progress: Callable[[int, str], object] | None = None,
) -> Path:
    """Train on transitions and write the checkpoint folder `out`, which is returned.

    States are standardised, actions are normalised to the description's limits (what lies beyond is clipped
    and counted), and rewards are standardised, (r - mean) / max(std, 1e-6), so that a constant reward becomes
    all zeros; the first line of train.jsonl says with what numbers. Called again on a finished folder it
    returns at once, on an unfinished one it continues from the last saved state, on CPU bit for bit.
    `progress` is told how many more updates are done, and a note. Raises BadInput for bad transitions and for
    a folder with another run, RobotRLError where training diverges.
    """
    run = RunFolder(Path(out))
    prepared = prepare(transitions, description)
    run.begin(_head(config, prepared, description))
    if run.finished:
        return run.root
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # vanishing moments of Adam would slow the processor down tenfold
    generator = torch.Generator().manual_seed(config.seed)
    sizes = len(description.state_names), len(description.action_names)
    learner = make_learner(config, *sizes, generator)
    saved = run.restore(generator)
    if saved is not None:
        learner.load_state_dict(saved)
    table = TransitionTable(prepared.transitions)
    _loop(learner, table, generator, config, run, progress or (lambda *_: None))
    save_checkpoint(run.root, learner.policy_weights(), _spec(config, prepared, description))
    run.drop_state()
    return run.root


def make_learner(
    config: TrainConfig, state_size: int, action_size: int, generator: torch.Generator
) -> Learner:
    """The learner that `config` asks for, with fresh weights."""
    cls, settings = {"iql": (IQL, IQLConfig), "bc": (BC, BCConfig)}[config.algorithm]
    names = [field.name for field in dataclasses.fields(settings)]
    return cls(state_size, action_size, settings(**{n: getattr(config, n) for n in names}), generator)


def _loop(
    learner: Learner,
    table: TransitionTable,
    generator: torch.Generator,
    config: TrainConfig,
    run: RunFolder,
    progress: Callable[[int, str], object],
) -> None:
    """Update until the last step, logging and saving on the way."""
    progress(learner.step, "")
    since, start = learner.step, time.perf_counter()
    while learner.step < config.steps:
        info = learner.update(table.sample(config.batch_size, generator))
        if learner.step % config.log_every == 0 or learner.step == config.steps:
            row = {name: float(value.detach().mean()) for name, value in info.items()}
            _check_finite(row, learner)
            rate = (learner.step - since) / (time.perf_counter() - start)
            run.log({"step": learner.step, **row, "updates_per_s": round(rate, 1)})
            progress(learner.step - since, f"actor loss {row['actor_loss']:.3g}")
            since, start = learner.step, time.perf_counter()
        if learner.step % config.save_every == 0 and learner.step < config.steps:
            run.save_state(learner.state_dict(), generator)


def _check_finite(row: dict[str, float], learner: Learner) -> None:
    """Raise RobotRLError where a loss or a tensor of the learner is not finite."""
    bad = [name for name, value in row.items() if not np.isfinite(value)]
    bad += [name for name, tensor in learner.state_dict().items() if not torch.isfinite(tensor).all()]
    if bad:
        raise RobotRLError(
            f"training diverged by step {learner.step}: not finite in {', '.join(bad)}; "
            "try a smaller learning rate"
        )


def _head(config: TrainConfig, prepared: Prepared, description: PolicyDescription) -> dict[str, object]:
    """The first line of the log."""
    return {
        "config": dataclasses.asdict(config),
        "description": description.model_dump(mode="json"),
        "data_hash": prepared.data_hash,
        "transitions": len(prepared.transitions),
        "reward_mean": prepared.reward_mean,
        "reward_std": prepared.reward_std,
        "clipped_actions": prepared.clipped_actions,
        "robot_rl": __version__,
    }


def _spec(config: TrainConfig, prepared: Prepared, description: PolicyDescription) -> PolicySpec:
    return PolicySpec(
        **description.model_dump(),
        version=__version__,
        state_mean=prepared.state_mean.tolist(),
        state_std=prepared.state_std.tolist(),
        hidden=config.hidden,
        algorithm=config.algorithm,
        config=dataclasses.asdict(config),
    )
