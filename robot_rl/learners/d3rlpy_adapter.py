"""d3rlpy (Seno and Imai, 2022) on our transitions: its buffers and its algorithms for continuous actions.

The only file that imports d3rlpy. Nothing is pickled: what was learned is kept as safetensors alone, and a
policy that is one tanh network becomes a checkpoint like that of our own algorithms.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from robot_rl import __version__
from robot_rl.data.replay import Transitions, transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, RobotRLError, nearest, need
from robot_rl.learners.prepare import Prepared, prepare
from robot_rl.learners.run_folder import RunFolder
from robot_rl.learners.train import TrainConfig
from robot_rl.policies.checkpoint import PolicyDescription, PolicySpec, save_checkpoint, write_atomically
from robot_rl.policies.networks import LOG_STD_RANGE
from robot_rl.policies.policy import MlpPolicy, denormalise

PREFIX = "d3rlpy:"  # before the name of an algorithm
NETWORKS = "d3rlpy.safetensors"
PARITY = 1e-5  # largest difference of a checkpoint's actions from d3rlpy's, in parts of an action's range
_LEFT_OUT = {
    "random_policy",
    "prdc",  # finds its neighbours only inside d3rlpy's own fit()
}
_CHECKED = 1000  # states of the data on which parity is checked
Progress = Callable[[int, str], object]


def import_d3rlpy() -> ModuleType:
    """Import d3rlpy, without the notice on Gym that it prints; raises BadInput where it is not installed."""
    with contextlib.redirect_stderr(io.StringIO()):
        return need("d3rlpy", "d3rlpy")


def algorithms() -> dict[str, type]:
    """Name to config class of d3rlpy's algorithms for continuous actions that can be trained here."""
    d3rlpy = import_d3rlpy()
    found = vars(d3rlpy.algos.qlearning).values()
    configs = [c for c in found if isinstance(c, type) and issubclass(c, d3rlpy.base.LearnableConfig)]
    return {
        config.get_type(): config
        for config in configs
        if config is not d3rlpy.base.LearnableConfig
        and config.get_type() not in _LEFT_OUT
        and config().create(device=False).get_action_type() == d3rlpy.ActionSpace.CONTINUOUS
    }


# --- buffers ---------------------------------------------------------------------------------------------


def to_replay_buffer(source: Dataset | Transitions) -> Any:
    """d3rlpy's ReplayBuffer of the same transitions, in order.

    Its episodes end where ours end and where one transition does not lead to the next. An episode that did
    not terminate gets one more step, which d3rlpy never learns from: its observation is where the last
    transition led. Of a terminated one the final observation stays beside the episode.
    """
    d3rlpy = import_d3rlpy()
    t = transitions_from_dataset(source) if isinstance(source, Dataset) else source
    if not len(t):
        raise BadInput("there are no transitions; the dataset's episodes are too short")
    chained = (t.next_observations[:-1] == t.observations[1:]).all(1)
    cut = t.episode_ends.astype(bool) | (t.masks == 0)
    cut[:-1] |= ~chained
    stops = np.unique(np.append(np.flatnonzero(cut) + 1, len(t)))
    episodes = [_episode(t, a, b) for a, b in zip([0, *stops[:-1]], stops, strict=True)]
    first = episodes[0]
    return d3rlpy.dataset.ReplayBuffer(
        d3rlpy.dataset.InfiniteBuffer(),
        episodes=episodes,
        observation_signature=first.observation_signature,
        action_signature=first.action_signature,
        reward_signature=first.reward_signature,
        action_space=d3rlpy.ActionSpace.CONTINUOUS,
        action_size=t.actions.shape[1],
    )


def from_replay_buffer(buffer: Any) -> Transitions:
    """Our transitions of a d3rlpy ReplayBuffer of vectors, in order; `frame` is -1.

    The last step of an episode that did not terminate is dropped, as d3rlpy does, since what followed it is
    unknown. After a termination, what followed is the observation itself where d3rlpy does not know it.
    """
    parts = [_transitions(e) for e in buffer.episodes if e.transition_count]
    if not parts:
        raise BadInput("the d3rlpy buffer holds no transition; its episodes are too short")
    fields = {f.name: [getattr(part, f.name) for part in parts] for f in dataclasses.fields(Transitions)}
    dropped = sum(fields.pop("dropped"))
    return Transitions(**{name: np.concatenate(arrays) for name, arrays in fields.items()}, dropped=dropped)


def _episode(t: Transitions, start: int, stop: int) -> Any:
    """d3rlpy's episode of transitions start to stop."""
    terminated = not t.masks[stop - 1]
    observations, actions = t.observations[start:stop], t.actions[start:stop]
    rewards, final = t.rewards[start:stop, None], t.next_observations[stop - 1]
    if not terminated:
        observations = np.concatenate([observations, final[None]])
        actions = np.concatenate([actions, actions[-1:]])
        rewards = np.concatenate([rewards, np.zeros((1, 1), rewards.dtype)])
    arrays = (np.asarray(a, np.float32) for a in (observations, actions, rewards))
    episode = import_d3rlpy().dataset.Episode(*arrays, terminated=terminated)
    # d3rlpy's record has no place for it; object.__setattr__, since the record is frozen.
    object.__setattr__(episode, "robot_rl_final", final if terminated else None)
    return episode


def _transitions(episode: Any) -> Transitions:
    """Transitions of one d3rlpy episode, of which it has at least one."""
    count = episode.transition_count
    states = np.asarray(episode.observations, np.float32)
    masks, ends = np.ones(count, np.float32), np.arange(count) == count - 1
    following = states[1 : count + 1]
    # Ours have one step more than transitions; in d3rlpy's own, that step's action is lost.
    ours = hasattr(episode, "robot_rl_final")
    if episode.terminated:
        final = getattr(episode, "robot_rl_final", None)
        following = np.concatenate([following, (states[-1] if final is None else final)[None]])
        masks[-1] = 0
    return Transitions(
        states[:count],
        np.asarray(episode.actions[:count], np.float32),
        np.asarray(episode.rewards[:count, 0], np.float32),
        masks,
        following,
        ends,
        np.full(count, -1, np.int64),
        0 if ours or episode.terminated else 1,
    )


# --- training --------------------------------------------------------------------------------------------


def train_d3rlpy(
    transitions: Transitions,
    out: Path,
    name: str,
    config: TrainConfig,
    *,
    description: PolicyDescription,
    progress: Progress | None = None,
) -> bool:
    """Train d3rlpy's algorithm `name` ("cql") into the folder `out`; returns whether it is a checkpoint.

    Transitions are prepared as for our algorithms. Of `config`, steps, batch_size, hidden, seed, log_every
    and threads count, and discount, target_rate, learning_rate (of actor and critics), expectile and
    temperature where the algorithm has them; all else is d3rlpy's default. All networks are written to
    d3rlpy.safetensors; a policy that is one tanh network becomes a checkpoint after its actions on the data
    were compared. A finished folder is left alone, an unfinished one begins anew. Raises BadInput for an
    unknown name, for bad transitions and for a folder with another run, RobotRLError for divergence.
    """
    known = algorithms()
    if name not in known:
        raise BadInput(f"d3rlpy has no algorithm '{name}' for continuous actions.{nearest(name, known)}")
    run, prepared = RunFolder(Path(out)), prepare(transitions, description)
    settings = _settings(known[name], config)
    asked = config.as_dict() | {"algorithm": PREFIX + name} | _versions(settings)
    run.begin(_head(asked, prepared, description))
    if not (run.root / NETWORKS).exists():
        run.restore(torch.Generator())  # nothing was saved: forgets what a killed run logged
        torch.set_num_threads(config.threads)
        import_d3rlpy().seed(config.seed)
        algorithm = settings.create(device=False)
        algorithm.create_impl((len(description.state_names),), len(description.action_names))
        _loop(algorithm, to_replay_buffer(prepared.transitions), config, run, progress or (lambda *_: None))
        weights = policy_weights(algorithm)
        if weights is not None:
            spec = _spec(asked, prepared, description)
            if _difference(MlpPolicy(weights, spec), algorithm, transitions.observations) <= PARITY:
                save_checkpoint(run.root, weights, spec)
        write_atomically(run.root / NETWORKS, save(_networks(algorithm)))
    return run.finished


def policy_weights(algorithm: Any) -> dict[str, np.ndarray] | None:
    """The tensors of a checkpoint from a d3rlpy algorithm, None where its policy is not one tanh network."""
    layers = policy_layers(algorithm)
    if layers is None:
        return None
    policy = algorithm.impl.policy
    log_std = torch.full((algorithm.action_size,), LOG_STD_RANGE[0])  # deterministic, or one for each state
    if isinstance(getattr(policy, "_logstd", None), nn.Parameter):
        low, high = policy._min_logstd, policy._max_logstd
        log_std = (low + torch.sigmoid(policy._logstd[0]) * (high - low)).clamp(*LOG_STD_RANGE)
    weights = {"log_std": log_std}
    for k, layer in enumerate(layers):
        weights |= {f"layer{k}.weight": layer.weight.T, f"layer{k}.bias": layer.bias}
    return {key: value.detach().numpy().copy() for key, value in weights.items()}


def policy_layers(algorithm: Any) -> list[nn.Linear] | None:
    """The linear layers of a policy from states to actions with only ReLUs between them, else None."""
    try:
        policy = algorithm.impl.policy
    except NotImplementedError:
        return None
    body = getattr(getattr(policy, "_encoder", None), "_layers", None)
    head = getattr(policy, "_mu", getattr(policy, "_fc", None))
    if not isinstance(body, nn.Sequential) or not isinstance(head, nn.Linear):
        return None
    linear, between = list(body)[::2], list(body)[1::2]
    fits = all(isinstance(x, nn.Linear) for x in linear) and all(isinstance(x, nn.ReLU) for x in between)
    # Some policies have a latent space for their output, or an action as a second input.
    sizes = linear[0].in_features, head.out_features
    fits = fits and sizes == (*algorithm.observation_shape, algorithm.action_size)
    return [*linear, head] if fits and len(linear) == len(between) else None


def _difference(policy: MlpPolicy, algorithm: Any, states: np.ndarray) -> float:
    """Largest difference of the two's actions in states of the data, in parts of each action's range."""
    states = states[np.linspace(0, len(states) - 1, min(_CHECKED, len(states))).astype(int)]
    low, high = np.float32(policy.spec.action_low), np.float32(policy.spec.action_high)
    scaled = (states - np.float32(policy.spec.state_mean)) / np.float32(policy.spec.state_std)
    theirs = denormalise(algorithm.predict(scaled), low, high)
    return float((np.abs(policy.act(states) - theirs) / (high - low)).max())


def _loop(algorithm: Any, buffer: Any, config: TrainConfig, run: RunFolder, progress: Progress) -> None:
    """Update until the last step, logging means of the losses on the way."""
    progress(0, "")
    seen: list[dict[str, float]] = []
    start = time.perf_counter()
    for step in range(1, config.steps + 1):
        seen.append(algorithm.update(buffer.sample_transition_batch(config.batch_size)))
        if step % config.log_every == 0 or step == config.steps:
            # Some update their actor at every other step only.
            keys = dict.fromkeys(key for losses in seen for key in losses)
            row = {key: float(np.mean([x[key] for x in seen if key in x])) for key in keys}
            bad = [key for key, value in row.items() if not np.isfinite(value)]
            if bad:
                raise RobotRLError(
                    f"training diverged by step {step}: not finite in {', '.join(bad)}; "
                    "try a smaller learning rate"
                )
            rate = len(seen) / (time.perf_counter() - start)
            run.log({"step": step, **row, "updates_per_s": round(rate, 1)})
            shown = "actor_loss" if "actor_loss" in row else next(iter(row))
            progress(len(seen), f"{shown.replace('_', ' ')} {row[shown]:.3g}")
            seen, start = [], time.perf_counter()


def _settings(cls: type, config: TrainConfig) -> Any:
    """d3rlpy's config of an algorithm, with ours where it has the like."""
    encoder = import_d3rlpy().models.VectorEncoderFactory(list(config.hidden))
    ours = {
        "batch_size": config.batch_size,
        "gamma": config.discount,
        "tau": config.target_rate,
        "expectile": config.expectile,
        "weight_temp": config.temperature,
        "learning_rate": config.learning_rate,
        "actor_learning_rate": config.learning_rate,
        "critic_learning_rate": config.learning_rate,
    }
    names = {field.name for field in dataclasses.fields(cls)}
    ours |= {name: encoder for name in names if name.endswith("encoder_factory")}
    return cls(**{name: value for name, value in ours.items() if name in names})


def _networks(algorithm: Any) -> dict[str, torch.Tensor]:
    """All of an algorithm's tensors: "<network>.<tensor>"."""
    modules = algorithm.impl.modules.get_torch_modules()
    # Copies, as networks may share tensors, which safetensors refuses.
    return {
        f"{name}.{key}": tensor.detach().clone().contiguous()
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }


def _versions(settings: Any) -> dict[str, Any]:
    return {"d3rlpy_version": import_d3rlpy().__version__, "d3rlpy": json.loads(settings.serialize())}


def _head(asked: dict[str, Any], prepared: Prepared, description: PolicyDescription) -> dict[str, Any]:
    """The first line of the log."""
    return {
        "config": asked,
        "description": description.model_dump(mode="json"),
        "data_hash": prepared.data_hash,
        "transitions": len(prepared.transitions),
        "reward_mean": prepared.reward_mean,
        "reward_std": prepared.reward_std,
        "clipped_actions": prepared.clipped_actions,
        "robot_rl": __version__,
    }


def _spec(asked: dict[str, Any], prepared: Prepared, description: PolicyDescription) -> PolicySpec:
    return PolicySpec(
        **description.model_dump(),
        version=__version__,
        state_mean=prepared.state_mean.tolist(),
        state_std=prepared.state_std.tolist(),
        hidden=asked["hidden"],
        algorithm=asked["algorithm"],
        config=asked,
    )
