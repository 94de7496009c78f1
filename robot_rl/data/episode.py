"""The record that flows through the library: one episode of one robot doing one task.

It comes from importers, rollouts or a dataset on disk and goes to writers, reward models and learners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rl.errors import BadInput

IMAGE = "image."  # observation keys of cameras are "image.<camera>"


class Frames:
    """A lazy (T, H, W, 3) uint8 RGB array; subclasses set `shape` and implement `read`."""

    shape: tuple[int, int, int, int]
    dtype = np.dtype(np.uint8)
    ndim = 4

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the frames at non-negative in-range `indices` (n,) int64 as (n, H, W, 3) uint8."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | np.ndarray) -> np.ndarray:
        length = len(self)
        if isinstance(key, slice):
            return self.read(np.arange(*key.indices(length)))
        chosen = np.asarray(key)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        wrapped = np.atleast_1d(np.where(chosen < 0, chosen + length, chosen)).astype(np.int64)
        if wrapped.size and (wrapped.min() < 0 or wrapped.max() >= length):
            raise IndexError(f"frame index {key} is outside 0..{length - 1}")
        frames = self.read(wrapped)
        return frames[0] if chosen.ndim == 0 else frames

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        frames = self.read(np.arange(len(self)))
        return frames if dtype is None else frames.astype(dtype)


@dataclass(frozen=True)
class Episode:
    """One episode of T >= 2 steps; `rewards[t]` and `success[t]` belong to the action at t."""

    observations: Mapping[str, np.ndarray | Frames]
    # "state" (T, S) float32 in the source's units; "image.<camera>" (T, H, W, 3) uint8 RGB, possibly lazy;
    # further vectors of the source under their own name, (T, K) float32
    actions: np.ndarray  # (T, A) float32, as executed, interventions included
    task: str  # the goal in words
    fps: float  # steps a second, Hz
    rewards: np.ndarray | None = None  # (T,) float32
    success: np.ndarray | None = None  # (T,) bool
    terminated: bool = False  # True: an absorbing end; a timeout is not a termination
    final_observation: Mapping[str, np.ndarray] | None = None
    # the observation after the last action: same keys and dtypes, without the time axis
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)  # (T,) float32 each, e.g. "reward.mean"
    metadata: Mapping[str, Any] = field(default_factory=dict)  # whatever JSON can hold

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def cameras(self) -> list[str]:
        """Camera names, in the order of the observations."""
        return [key.removeprefix(IMAGE) for key in self.observations if key.startswith(IMAGE)]


def validate_episode(episode: Episode, where: str) -> None:
    """Raise BadInput that names `where`, the field and the rule if the episode breaks the contract."""
    steps = _check_length(episode, where)
    if "state" not in episode.observations:
        raise BadInput(f"{where}: observations have no 'state'; give the robot's state as (T, S) float32")
    for key, value in episode.observations.items():
        if key.startswith(IMAGE):
            _check_images(value, steps, f"{where}: observations['{key}']")
        else:
            _check_floats(value, steps, 2, f"{where}: observations['{key}']")
    _check_floats(episode.actions, steps, 2, f"{where}: actions")
    if episode.rewards is not None:
        _check_floats(episode.rewards, steps, 1, f"{where}: rewards")
    for name, value in episode.labels.items():
        _check_floats(value, steps, 1, f"{where}: labels['{name}']")
    if episode.success is not None:
        _check_array(episode.success, steps, 1, np.bool_, f"{where}: success")
    if not np.isfinite(episode.fps) or episode.fps <= 0:
        raise BadInput(f"{where}: fps is {episode.fps}; it must be a positive number of steps a second")
    if not isinstance(episode.task, str) or not episode.task.strip():
        raise BadInput(f"{where}: task is empty; give the goal in words")
    _check_final(episode, where)


def _check_length(episode: Episode, where: str) -> int:
    actions = np.asarray(episode.actions)
    if actions.ndim != 2:
        raise BadInput(f"{where}: actions have shape {actions.shape}; the shape must be (T, A)")
    if len(actions) < 2:
        raise BadInput(f"{where}: the episode has {len(actions)} steps; an episode needs at least 2 steps")
    return len(actions)


def _check_array(value: Any, steps: int, ndim: int, dtype: Any, where: str) -> None:
    shape, kind = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or len(shape) != ndim:
        raise BadInput(f"{where} has shape {shape}; it needs {ndim} axes, time first")
    if kind != dtype:
        raise BadInput(f"{where} has dtype {kind}; it must be {np.dtype(dtype)}")
    if shape[0] != steps:
        raise BadInput(f"{where} has {shape[0]} steps, but actions have {steps}; lengths must agree")


def _check_floats(value: Any, steps: int, ndim: int, where: str) -> None:
    _check_array(value, steps, ndim, np.float32, where)
    if 0 in value.shape:
        raise BadInput(f"{where} has shape {value.shape}; no axis may be empty")
    finite = np.isfinite(value)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        at = f"step {first[0]}" + (f", element {first[1]}" if ndim == 2 else "")
        raise BadInput(f"{where} holds {value[first]} at {at}; every value must be finite")


def _check_images(value: Any, steps: int, where: str) -> None:
    _check_array(value, steps, 4, np.uint8, where)
    if value.shape[3] != 3 or 0 in value.shape:
        raise BadInput(f"{where} has shape {value.shape}; it must be (T, H, W, 3) RGB")


def _check_final(episode: Episode, where: str) -> None:
    for key, value in (episode.final_observation or {}).items():
        name = f"{where}: final_observation['{key}']"
        if key not in episode.observations:
            raise BadInput(f"{name} has no counterpart in observations")
        like = episode.observations[key]
        if np.shape(value) != tuple(like.shape[1:]) or np.asarray(value).dtype != like.dtype:
            raise BadInput(
                f"{name} is {np.asarray(value).dtype} {np.shape(value)}; "
                f"it must be {like.dtype} {tuple(like.shape[1:])} like the observations"
            )
        if like.dtype == np.float32 and not np.isfinite(value).all():
            raise BadInput(f"{name} holds a value that is not finite")
