"""From offline to online: a finished run goes on learning from what its policy lives through.

`OnlineLearner` acts, takes transitions from anywhere, updates, and keeps itself on disk; `finetune.py` drives
it with an environment or a queue.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robot_rl import __version__
from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput, RobotRLError
from robot_rl.learners.average import AveragedActor
from robot_rl.learners.batch import Batch, TransitionTable
from robot_rl.learners.denormals import flushed_denormals
from robot_rl.learners.divergence import is_finite, stop_unless_finite
from robot_rl.learners.experience import Experience, Record, Transition
from robot_rl.learners.offline_run import OfflineRun
from robot_rl.learners.prepare import check
from robot_rl.learners.reweighting import TaskTable
from robot_rl.learners.run_folder import RunFolder
from robot_rl.learners.train import (
    NEEDS_RETURNS,
    Learner,
    TrainConfig,
    make_learner,
    make_table,
    set_up_torch,
    slices_of,
)
from robot_rl.policies.checkpoint import PolicySpec, save_checkpoint
from robot_rl.policies.policy import MlpPolicy, Policy, denormalise

LOG, BEST, _AVERAGE = "online.jsonl", "best", "average"
_LEARNER = "learner."  # before the names of the learner's tensors in the saved state


@dataclass(frozen=True)
class OnlineConfig:
    """One fine-tuning; None takes what the offline run had. WSRL is mix 0 and warmup 5,000.

    Raises BadInput for a value that is not valid.
    """

    steps: int = 20_000  # environment steps
    utd: int | None = None  # updates an environment step; None: the algorithm's own, or 1
    mix: float = 0.5  # share of each batch from the offline transitions
    # First steps without updates: else half of each batch would be the first few steps over and over, which
    # was seen to undo a policy for a while.
    warmup: int = 1000
    batch_size: int | None = None
    n_step: int | None = None
    learning_rate: float | None = None
    # What stays of the deployed policy, a moving average of the actor, at an update; 0 deploys the actor
    # itself, which was seen to lose success at the switch.
    average: float = 0.995
    seed: int = 0  # of actions, batches and episodes
    capacity: int = 1_000_000  # online transitions kept
    eval_every: int = 2000  # environment steps
    log_every: int = 500  # environment steps
    save_every: int = 1000  # environment steps; saved at the first episode end after as many
    threads: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)  # the algorithm's own, over the offline run's

    def __post_init__(self) -> None:
        for name in ("steps", "utd", "batch_size", "n_step", "capacity", "eval_every", "log_every",
                     "save_every", "threads", "learning_rate"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise BadInput(f"{name} must be above 0, not {value}")
        if not 0 <= self.mix <= 1:
            raise BadInput(f"mix must lie in 0 to 1, the share of offline transitions, not {self.mix}")
        if not 0 <= self.average < 1:
            raise BadInput(f"average must lie in 0 to 1, without 1, not {self.average}")
        if self.warmup < 0:
            raise BadInput(f"warmup must be at least 0 steps, not {self.warmup}")

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {**dataclasses.asdict(self), "settings": dict(self.settings)}


class OnlineLearner:
    """A learner taken up from an offline run, with its experience, in a folder from which it continues."""

    def __init__(
        self,
        out: Path,
        offline: OfflineRun,
        config: OnlineConfig,
        transitions: Transitions | None = None,
        log: Callable[[Mapping[str, float]], object] | None = None,
        about: Mapping[str, str] | None = None,
    ):
        """Begin in `out`, or continue there; `transitions` are the offline ones, in physical units.

        `log` gets every line of online.jsonl; `about`, such as the task, must stay the same too. Raises
        BadInput for a folder with another run, for an algorithm without rewards, and where `mix` asks for
        transitions that are not given.
        """
        self.config, self.offline, self._log = config, offline, log or (lambda _: None)
        self._settings = _settings(offline, config)
        self._run = RunFolder(Path(out), LOG, free=("steps",))
        self._offline_table = self._prepare(transitions)
        self._run.begin(self._head(about or {}))
        set_up_torch(config.threads)
        self._generator = torch.Generator().manual_seed(config.seed)
        sizes = offline.spec.observation_size, len(offline.spec.action_names)
        # Woken at its full rate at once, IQL's actor was seen to lose half of its success for a while.
        changes = {"schedule": "rising"} | ({"utd": config.utd} if config.utd else {})
        self.learner = make_learner(self._settings, *sizes, self._generator, **changes)
        own_utd = getattr(self.learner.config, "utd", None)
        self._rounds = 1 if own_utd else config.utd or 1
        self._average = AveragedActor(self.learner, config.average)
        self._experience = Experience(
            *sizes,
            min(config.capacity, max(config.steps, 1)),
            n=self._settings.n_step,
            discount=self._settings.discount,
            returns=self._settings.algorithm in NEEDS_RETURNS,
        )
        self._record = Record(self.root / "experience")
        self.step, self.episodes = 0, 0  # environment steps and ended episodes
        self._best, self._return, self._length, self._reached = (-1.0, -math.inf), 0.0, 0, False
        self._since = (0, time.perf_counter())
        self._restore()

    @property
    def root(self) -> Path:
        """The run's folder: the last policy, best/ beside it, online.jsonl, experience/ and state/."""
        return self._run.root

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.config.steps

    @property
    def saved(self) -> int:
        """How many steps are on disk."""
        return self._record.saved

    def weigh_tasks(self, tasks: np.ndarray, weights: np.ndarray) -> None:
        """Draw offline transitions by the weight (K,) of their task from now on; tasks (N,) int64 are theirs.

        `reweighting.TaskWeights` says the weights. They are not saved: say them again after a restart.
        """
        if isinstance(self._offline_table, TaskTable):
            self._offline_table.weigh(weights)
        elif self._offline_table is not None:
            self._offline_table = TaskTable(self._offline_table, tasks, weights)

    def act(self, state: np.ndarray) -> np.ndarray:
        """Draw an action (A,) to explore with, in physical units, for a state (S,)."""
        scaled = torch.from_numpy(self.offline.scaler.states(np.asarray(state, np.float32)))[None]
        with torch.no_grad():
            action = self.learner.act(scaled, self._generator)[0].numpy()
        return denormalise(action, self.offline.scaler.action_low, self.offline.scaler.action_high)

    def policy(self) -> Policy:
        """The policy as it would be deployed now: the actor's average, without noise."""
        return MlpPolicy(self._average.policy_weights(), self._spec())

    def observe(self, step: Transition, success: bool | None = None) -> None:
        """Take one transition in physical units, update, and log what ended or is due.

        Raises RobotRLError where a number is not finite.
        """
        step = _single(step)
        self._record.add(step)
        self._experience.add(self._scaled(step))
        self.step += 1
        self._return, self._length = self._return + step.reward, self._length + 1
        self._reached = self._reached or bool(success)
        info = self._update() if self.step > self.config.warmup and len(self._experience) else {}
        if self.step % self.config.log_every == 0:
            self._log_update(info)
        if step.ended:
            row = {"episode": self.episodes, "episode_return": self._return, "episode_length": self._length}
            self.log(row | ({} if success is None else {"episode_success": float(self._reached)}))
            self.episodes += 1
            self._return, self._length, self._reached = 0.0, 0, False

    def evaluated(self, found: Mapping[str, float]) -> None:
        """Log an evaluation, {"success", "return", …}, and keep the policy where it is the best so far."""
        self.log({f"eval_{name}": value for name, value in found.items()})
        score = (found["success"], found["return"])
        if score > self._best:
            self._best = score
            save_checkpoint(self.root / BEST, self._average.policy_weights(), self._spec())

    def save_policy(self, folder: Path) -> None:
        """Write the policy as it is now into a folder of its own."""
        save_checkpoint(folder, self._average.policy_weights(), self._spec())

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of all that the learner has learned, without experience, for `roll_back`."""
        learner = {_LEARNER + name: tensor.clone() for name, tensor in self.learner.state_dict().items()}
        return {**learner, _AVERAGE: self._average.tensor.clone()}

    def roll_back(self, snapshot: Mapping[str, Tensor]) -> None:
        """Undo the updates since a snapshot; what was lived through is kept. Raises BadInput."""
        learner = {n.removeprefix(_LEARNER): t for n, t in snapshot.items() if n.startswith(_LEARNER)}
        _load(self.learner, learner, self.root)
        self._average.restore(snapshot.get(_AVERAGE))

    def log(self, row: Mapping[str, float]) -> None:
        """Add a line to online.jsonl."""
        self._run.log({"step": self.step, **row})
        self._log({"step": self.step, **row})

    def rows(self) -> list[dict[str, Any]]:
        """The lines of online.jsonl so far, without the first."""
        return self._run.rows()

    def save_if_due(self) -> None:
        """Save at the first end of an episode save_every steps after the last save, and at the end of all."""
        between = self._length == 0
        if between and (self.step - self._record.saved >= self.config.save_every or self.finished):
            self.save()

    def save(self) -> None:
        """Write experience, state and the policy; call it between episodes."""
        self._record.save()
        counts = {name: torch.tensor(getattr(self, name)) for name in ("step", "episodes")}
        best = {"best": torch.tensor(self._best, dtype=torch.float64), _AVERAGE: self._average.tensor}
        learner = {_LEARNER + name: tensor for name, tensor in self.learner.state_dict().items()}
        self._run.save_state({**counts, **best, **learner}, self._generator)
        save_checkpoint(self.root, self._average.policy_weights(), self._spec())

    def _restore(self) -> None:
        """Continue from the saved state, or from the offline run's."""
        saved = self._run.restore(self._generator)
        if saved is None:
            _load(self.learner, self.offline.state, self.offline.root)
            self._average.restore(None)
            return
        _load(
            self.learner, {n.removeprefix(_LEARNER): t for n, t in saved.items() if _LEARNER in n}, self.root
        )
        self._average.restore(saved.get(_AVERAGE))
        self.step, self.episodes = int(saved["step"]), int(saved["episodes"])
        self._best = tuple(saved["best"].tolist())
        for step in self._record.load(self.step):
            self._experience.add(self._scaled(step))
        self._since = (self.step, time.perf_counter())

    @flushed_denormals()
    def _update(self) -> dict[str, Tensor]:
        """Take the updates of one environment step; returns the info of the last."""
        info: dict[str, Tensor] = {}
        for _ in range(self._rounds):
            batch = self._batch()
            info = self.learner.update(batch)
            self._average.update()
            if not is_finite(info):
                stop_unless_finite(info, self.learner, batch, self.root)
        return info

    def _batch(self) -> Batch:
        """Draw what one update takes: `mix` of it offline, the rest online, alike in each slice."""
        slices, size = slices_of(self.learner), self._settings.batch_size
        offline = round(self.config.mix * size) if self._offline_table is not None else 0
        parts = []
        if offline:
            parts.append(self._offline_table.sample(offline * slices, self._generator))
        if offline < size:
            parts.append(self._experience.sample((size - offline) * slices, self._generator))
        return parts[0] if len(parts) == 1 else mixed(*parts, slices)

    def _log_update(self, info: Mapping[str, Tensor]) -> None:
        """Log losses and the rate."""
        step, start = self._since
        rate = (self.step - step) / max(time.perf_counter() - start, 1e-9)
        losses = {name: float(value.detach().mean()) for name, value in info.items()}
        self.log({"updates": self.learner.step, **losses, "steps_per_s": round(rate, 1)})
        self._since = (self.step, time.perf_counter())

    def _scaled(self, step: Transition) -> Transition:
        """A transition on the learner's scale.

        Beyond a terminal state nothing is earned; on a scale that takes the mean from each reward, that
        is not 0: what it comes to is added to the last reward.
        """
        scaler, discount = self.offline.scaler, self._settings.discount
        last = step.terminated and discount < 1
        beyond = float(scaler.rewards(0.0)) * discount / (1 - discount) if last else 0.0
        return dataclasses.replace(
            step,
            observation=scaler.states(step.observation),
            action=scaler.actions(step.action),
            reward=float(scaler.rewards(step.reward)) + beyond,
            next_observation=scaler.states(step.next_observation),
        )

    def _prepare(self, transitions: Transitions | None) -> TransitionTable | None:
        """The table of offline transitions, on the offline run's scale; None where none are mixed in."""
        if self.config.mix == 0:
            return None
        if transitions is None:
            raise BadInput(
                f"mix is {self.config.mix}, but no offline transitions are given; give them or mix 0"
            )
        check(transitions, self.offline.spec)
        return make_table(self.offline.scaler.apply(transitions), self._settings)

    def _head(self, about: Mapping[str, str]) -> dict[str, Any]:
        """The first line of the log."""
        return {
            "config": self.config.as_dict(),
            "description": {"offline_weights": self.offline.spec.weights_hash, **about},
            "data_hash": self.offline.data_hash,
            "robot_rl": __version__,
        }

    def _spec(self) -> PolicySpec:
        config = {**self._settings.as_dict(), "online": self.config.as_dict()}
        changes = {"version": __version__, "config": config}
        return self.offline.spec.model_copy(update=changes)


def _settings(offline: OfflineRun, config: OnlineConfig) -> TrainConfig:
    """The offline run's config with what the online one changes; raises BadInput."""
    if offline.config.algorithm == "bc":
        raise BadInput(
            f"{offline.root} was trained by bc, which learns from no rewards; train it by iql, calql or rlpd"
        )
    if offline.spec.images:
        raise BadInput(f"{offline.root} has a policy that sees pictures; only those of states go on online")
    names = ("batch_size", "n_step", "learning_rate")
    given = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    settings = {**offline.config.settings, **config.settings}
    return dataclasses.replace(offline.config, **given, settings=settings)


def _load(learner: Learner, state: Mapping[str, Tensor], folder: Path) -> None:
    """Load a learner's state; raises BadInput where it does not fit."""
    try:
        learner.load_state_dict(dict(state))
    except (KeyError, RuntimeError) as error:
        raise BadInput(f"{folder}/state does not fit the run's settings: {str(error)[:200]}") from error


def _single(step: Transition) -> Transition:
    """A transition in single precision, as it will be read again; raises RobotRLError if not finite."""
    values = {
        "observation": np.asarray(step.observation, np.float32),
        "action": np.asarray(step.action, np.float32),
        "reward": float(np.float32(step.reward)),
        "next_observation": np.asarray(step.next_observation, np.float32),
    }
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise RobotRLError(f"{name} of an online step is not finite ({value}); check where it comes from")
    return dataclasses.replace(step, **values)


def mixed(offline: Batch, online: Batch, slices: int = 1) -> Batch:
    """Join two batches so that each of `slices` consecutive slices has the same share of both."""

    def join(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        if a is None or b is None:
            return None
        parts = [t.unflatten(0, (slices, -1)) for t in (a, b)]
        return torch.cat(parts, 1).flatten(0, 1)

    return Batch(*(join(a, b) for a, b in zip(offline, online, strict=True)))
