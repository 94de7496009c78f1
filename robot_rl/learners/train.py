"""The training loop: transitions in, a policy checkpoint out; a killed run continues bit for bit."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from robot_rl import __version__
from robot_rl.data.replay import Transitions
from robot_rl.data.replay_file import ReplayFile
from robot_rl.errors import BadInput, nearest
from robot_rl.learners.batch import Batch, TransitionTable
from robot_rl.learners.cuda_graph import CapturedUpdate, checked_device
from robot_rl.learners.denormals import flushed_denormals
from robot_rl.learners.divergence import is_finite, stop_unless_finite
from robot_rl.learners.file_table import FileTable
from robot_rl.learners.n_step import n_step
from robot_rl.learners.pictures import Pictures, PictureTable
from robot_rl.learners.pixel_iql import PixelIQL
from robot_rl.learners.prepare import Prepared, prepare
from robot_rl.learners.run_folder import RunFolder
from robot_rl.policies.checkpoint import PolicyDescription, PolicySpec, save_checkpoint
from robot_rl.policies.onnx_encoder import encoder_to_onnx

__all__ = ["Learner", "PolicyDescription", "TrainConfig", "train"]
# name -> (module, class); the class of its settings is named after it.
ALGORITHMS = {
    "iql": ("robot_rl.learners.iql", "IQL"),
    "bc": ("robot_rl.learners.bc", "BC"),
    "calql": ("robot_rl.learners.calql", "CalQL"),
    "rlpd": ("robot_rl.learners.rlpd", "RLPD"),
}
NEEDS_RETURNS = ("calql",)  # its batches hold Monte-Carlo returns
_IQL_ALONE = ("expectile", "temperature")  # other algorithms use these words for other things


class Learner(Protocol):
    """What the loop trains."""

    config: Any  # its own frozen settings
    step: int  # updates taken

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step; returns tensors to log, of which the loop takes the mean."""

    def act(self, observations: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (B, A) in (-1, 1) for standardised states (B, S), to explore online."""

    def policy_weights(self) -> dict[str, np.ndarray]:
        """The tensors of a checkpoint."""

    def state_dict(self) -> dict[str, Tensor]:
        """All that continuing needs."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state_dict` gave."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run: what all algorithms share; expectile and temperature are IQL's alone.

    `settings` are the algorithm's own, by the names of its settings class, such as CalQLConfig; they win
    over the fields of the same name here. Raises BadInput for a value or a name that is not valid.
    """

    algorithm: str = "iql"  # or "bc", "calql", "rlpd"
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
    device: str = "cpu"  # or "cuda", for iql and bc
    n_step: int = 1  # rewards summed before the value of what follows is trusted
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise BadInput(f"no algorithm '{self.algorithm}'.{nearest(self.algorithm, ALGORITHMS)}")
        for name in ("steps", "batch_size", "log_every", "save_every", "threads", "learning_rate", "n_step"):
            if getattr(self, name) <= 0:
                raise BadInput(f"{name} must be above 0, not {getattr(self, name)}")
        if not self.hidden or min(self.hidden) < 1:
            raise BadInput(f"hidden must name at least one layer of at least 1 unit, not {self.hidden}")
        for name in ("discount", "expectile", "target_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} must lie in 0 to 1, not {getattr(self, name)}")
        if self.temperature < 0:
            raise BadInput(f"temperature must be at least 0, not {self.temperature}")
        if self.n_step > 1 and self.algorithm in NEEDS_RETURNS:
            raise BadInput(f"n_step must be 1 for {self.algorithm}, which learns from whole returns already")
        if self.settings:
            settings_of(self)

    def as_dict(self) -> dict[str, Any]:
        """All fields for JSON; newer ones only where they are set, so that older runs are known again."""
        values = {**dataclasses.asdict(self), "settings": dict(self.settings)}
        unset = [
            name
            for name, default in (("n_step", 1), ("settings", {}), ("device", "cpu"))
            if values[name] == default
        ]
        return {name: value for name, value in values.items() if name not in unset}


def settings_of(config: TrainConfig, **changes: Any) -> Any:
    """The settings of the algorithm's own class; raises BadInput for a name that it does not have.

    `changes` are made where the class has the name.
    """
    cls = _classes(config.algorithm)[1]
    names = [f.name for f in dataclasses.fields(cls)]
    for name in config.settings:
        if name not in names:
            raise BadInput(f"settings: {config.algorithm} has no '{name}'.{nearest(name, names)}")
    shared = {f.name for f in dataclasses.fields(config)} - {"settings"}
    if config.algorithm != "iql":
        shared -= set(_IQL_ALONE)
    values = {name: getattr(config, name) for name in names if name in shared} | dict(config.settings)
    values |= {name: value for name, value in changes.items() if name in names}
    # JSON and YAML know lists only.
    return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _classes(algorithm: str) -> tuple[type, type]:
    """The classes of a learner and of its settings."""
    module_name, name = ALGORITHMS[algorithm]
    module = importlib.import_module(module_name)
    return getattr(module, name), getattr(module, f"{name}Config")


@flushed_denormals()
def train(
    transitions: Transitions | ReplayFile,
    out: Path,
    config: TrainConfig,
    *,
    description: PolicyDescription,
    encoders: Mapping[str, bytes] | None = None,
    pictures: Pictures | None = None,
    progress: Callable[[int, str], object] | None = None,
    log: Callable[[Mapping[str, float]], object] | None = None,
    keep_state: bool = True,
) -> Path:
    """Train on transitions and write the checkpoint folder `out`, which is returned.

    States are standardised, actions are normalised to the description's limits (what lies beyond is clipped
    and counted), and rewards are standardised, (r - mean) / max(std, 1e-6), so that a constant reward becomes
    all zeros; the first line of train.jsonl says with what numbers. Called again on a finished folder it
    returns at once, on an unfinished one it continues from the last saved state, on CPU bit for bit. A
    finished run keeps its state, from which `online` continues, unless `keep_state` is false. `encoders` are
    the ONNX files of the description's cameras, which become part of the checkpoint; `pictures` are those of
    a camera whose encoder is learned here. `progress` is told how many more updates are done, and a note;
    `log` gets every line of train.jsonl after the first.
    Raises BadInput for bad transitions, for an algorithm that they do not serve, and for a folder with
    another run, RobotRLError where training diverges.
    """
    run = RunFolder(Path(out))
    device = checked_device(config.device, config.algorithm)
    _check_serves(config, transitions, description)
    prepared = prepare(transitions, description)
    run.begin(_head(config, prepared, description))
    if run.finished:
        return run.root
    set_up_torch(config.threads)
    generator = torch.Generator().manual_seed(config.seed)
    learner = _learner(config, description, generator, device)
    saved = run.restore(generator)
    if saved is not None:
        learner.load_state_dict(saved)
    table = _table(prepared, config, pictures)
    if device.type == "cuda":
        table = table.to(device)
    heard = progress or (lambda *_: None), log or (lambda _: None)
    _loop(learner, table, generator, config, run, *heard)
    if keep_state:
        run.save_state(learner.state_dict(), generator)
    if isinstance(learner, PixelIQL):
        (image,) = description.images
        encoders = {image.file: encoder_to_onnx(learner.encoder, image.size)}
    save_checkpoint(run.root, learner.policy_weights(), _spec(config, prepared, description), encoders)
    if not keep_state:
        run.drop_state()
    return run.root


def set_up_torch(threads: int) -> None:
    """Set how torch computes in this process from now on."""
    torch.set_num_threads(threads)


def make_learner(
    config: TrainConfig,
    state_size: int,
    action_size: int,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    **changes: Any,
) -> Learner:
    """The learner that `config` asks for, with fresh weights; `changes` as in `settings_of`."""
    settings, cls = settings_of(config, **changes), _classes(config.algorithm)[0]
    where = () if torch.device(device).type == "cpu" else (device,)
    return cls(state_size, action_size, settings, generator, *where)


def make_table(transitions: Transitions, config: TrainConfig) -> TransitionTable:
    """Put prepared transitions into a table as the algorithm needs them."""
    if config.algorithm in NEEDS_RETURNS:
        return TransitionTable(transitions, config.discount)
    return TransitionTable(n_step(transitions, config.n_step, config.discount))


def _check_serves(
    config: TrainConfig, transitions: Transitions | ReplayFile, description: PolicyDescription
) -> None:
    """Raise BadInput for an algorithm that cannot learn to see, or from a file."""
    whole_episodes = config.algorithm in NEEDS_RETURNS or config.n_step > 1
    learns = any(image.learned for image in description.images)
    if config.device == "cuda" and (learns or isinstance(transitions, ReplayFile)):
        raise BadInput("--device: cuda serves transitions in memory, without the encoder cnn; use cpu")
    if isinstance(transitions, ReplayFile) and whole_episodes:
        raise BadInput(
            f"transitions on disk serve iql, bc and rlpd with n_step 1, not {config.algorithm} with n_step "
            f"{config.n_step}, which looks at whole episodes; keep them in memory"
        )
    if learns and (config.algorithm != "iql" or config.n_step > 1 or len(description.images) > 1):
        raise BadInput(
            "the encoder cnn learns with iql, n_step 1 and one camera; the frozen in-domain one serves every "
            "algorithm and several cameras"
        )


def _table(
    prepared: Prepared, config: TrainConfig, pictures: Pictures | None
) -> TransitionTable | FileTable | PictureTable:
    """What batches are drawn from."""
    if pictures is not None:
        return PictureTable(prepared.transitions, pictures)
    if isinstance(prepared.transitions, Transitions):
        return make_table(prepared.transitions, config)
    return FileTable(prepared.transitions, prepared.scaler)


def slices_of(learner: Learner) -> int:
    """How many slices of batch_size rows the learner takes in one update; RLPD takes `utd` of them."""
    return getattr(learner.config, "utd", 1)


def _learner(
    config: TrainConfig, description: PolicyDescription, generator: torch.Generator, device: torch.device
) -> Learner:
    """The learner for what the policy sees."""
    actions, learned = len(description.action_names), [one for one in description.images if one.learned]
    if not learned:
        return make_learner(config, description.observation_size, actions, generator, device)
    return PixelIQL(description.given_size, actions, learned[0].size, settings_of(config), generator)


def _loop(
    learner: Learner,
    table: TransitionTable | FileTable | PictureTable,
    generator: torch.Generator,
    config: TrainConfig,
    run: RunFolder,
    progress: Callable[[int, str], object],
    log: Callable[[Mapping[str, float]], object],
) -> None:
    """Update until the last step, logging and saving on the way."""
    progress(learner.step, "")
    since, start, size = learner.step, time.perf_counter(), config.batch_size * slices_of(learner)
    on_gpu = config.device == "cuda"
    captured = CapturedUpdate(learner, table, size, torch.device("cuda")) if on_gpu else None
    while learner.step < config.steps:
        indices = torch.randint(len(table), (size,), generator=generator)
        info = captured(indices) if captured else learner.update(table.rows(indices))
        logs = learner.step % config.log_every == 0 or learner.step == config.steps
        # A look at a value makes the host wait for the GPU, so there it is taken with the log's lines.
        if logs or not (on_gpu or is_finite(info)):
            stop_unless_finite(info, learner, table.rows(indices.to(config.device)), run.root)
        if logs:
            row = {name: float(value.detach().mean()) for name, value in info.items()}
            rate = (learner.step - since) / (time.perf_counter() - start)
            line = {"step": learner.step, **row, "updates_per_s": round(rate, 1)}
            run.log(line)
            log(line)
            progress(learner.step - since, f"actor loss {row['actor_loss']:.3g}")
            since, start = learner.step, time.perf_counter()
        if learner.step % config.save_every == 0 and learner.step < config.steps:
            run.save_state(learner.state_dict(), generator)


def _head(config: TrainConfig, prepared: Prepared, description: PolicyDescription) -> dict[str, object]:
    """The first line of the log."""
    return {
        "config": config.as_dict(),
        "description": description.model_dump(mode="json"),
        "data_hash": prepared.data_hash,
        "transitions": len(prepared.transitions),
        "reward_mean": prepared.reward_mean,
        "reward_std": prepared.reward_std,
        "clipped_actions": prepared.clipped_actions,
        "robot_rl": __version__,
    }


def _spec(config: TrainConfig, prepared: Prepared, description: PolicyDescription) -> PolicySpec:
    # The features of an encoder that was learned have no scale of their own.
    learned = description.observation_size - description.given_size
    mean = [*prepared.state_mean.tolist(), *[0.0] * learned]
    std = [*prepared.state_std.tolist(), *[1.0] * learned]
    end, images = len(description.state_names), []
    for image in description.images:
        start, end = end, end + image.features
        scale = {"feature_mean": tuple(mean[start:end]), "feature_std": tuple(std[start:end])}
        images.append(image.model_copy(update=scale))
    state = len(description.state_names)
    return PolicySpec(
        **description.model_copy(update={"images": tuple(images)}).model_dump(),
        version=__version__,
        observation_keys=(*(["state"] if state else []), *(image.key for image in images)),
        state_mean=mean[:state],
        state_std=std[:state],
        hidden=config.hidden,
        algorithm=config.algorithm,
        config=config.as_dict(),
    )
