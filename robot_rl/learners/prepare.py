"""Checks transitions and brings them to the scale that learners work in, remembering how."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np

from robot_rl.data.replay import Transitions
from robot_rl.data.replay_file import ReplayFile
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.conditioning import PREFIX
from robot_rl.policies.policy import normalise

STD_FLOOR = 1e-3  # added to each state's standard deviation: a constant one must not be divided by zero
REWARD_STD_FLOOR = 1e-6
ACTION_BOUND = 1 - 1e-5  # beyond it, the actor's tanh could only follow with infinite weights


@dataclass(frozen=True)
class Scaler:
    """The scale that a learner works in: measured on the first data, kept for all that comes later."""

    state_mean: np.ndarray  # (S,) float32, in the states' units
    state_std: np.ndarray  # (S,) float32
    action_low: np.ndarray  # (A,) float32, in the actions' units: becomes -1
    action_high: np.ndarray  # (A,) float32: becomes 1
    reward_mean: float
    reward_std: float

    @classmethod
    def measure(cls, transitions: Transitions, description: PolicyDescription) -> Scaler:
        """The scale on which `transitions` have mean 0 and std 1, with the description's action limits.

        The features of one camera share one scale: a component that hardly moves stays small.
        """
        t = transitions
        mean, std = (getattr(t.observations, name)(0, dtype=np.float64) for name in ("mean", "std"))
        end = len(description.state_names)
        for image in description.images:
            start, end = end, end + image.features
            if not image.learned:
                std[start:end] = np.sqrt(np.square(std[start:end]).mean())
        # Those that name the task stay 0 and 1: scaled, a task with little data would be a large number.
        told = [k for k, name in enumerate(description.state_names) if name.startswith(PREFIX)]
        mean[told], std[told] = 0.0, 1.0 - STD_FLOOR
        # Measured from the first reward: then a constant reward gives exact zeros, whatever its rounding.
        shifted = t.rewards.astype(np.float64) - float(t.rewards[0])
        return cls(
            mean.astype(np.float32),
            (std + STD_FLOOR).astype(np.float32),
            np.float32(description.action_low),
            np.float32(description.action_high),
            float(shifted.mean()) + float(t.rewards[0]),
            max(float(shifted.std()), REWARD_STD_FLOOR),
        )

    def states(self, states: np.ndarray) -> np.ndarray:
        """Standardise states (..., S)."""
        return (states - self.state_mean) / self.state_std

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """Bring actions (..., A) to [-1, 1]; those beyond the limits are clipped."""
        scaled = normalise(actions, self.action_low, self.action_high)
        return scaled.clip(-ACTION_BOUND, ACTION_BOUND)

    def rewards(self, rewards: np.ndarray) -> np.ndarray:
        """Standardise rewards (...)."""
        scaled = (np.asarray(rewards, np.float64) - self.reward_mean) / self.reward_std
        return scaled.astype(np.float32)

    def apply(self, transitions: Transitions) -> Transitions:
        """Bring transitions to this scale."""
        t = transitions
        return dataclasses.replace(
            t,
            observations=self.states(t.observations),
            next_observations=self.states(t.next_observations),
            actions=self.actions(t.actions),
            rewards=self.rewards(t.rewards),
        )


@dataclass(frozen=True)
class Prepared:
    """Transitions ready to learn from, and what was done to them."""

    transitions: Transitions | ReplayFile  # states and rewards standardised, actions within ±ACTION_BOUND;
    # those of a file are brought to that scale when they are drawn
    scaler: Scaler
    clipped_actions: int  # transitions with at least one action beyond the limits
    data_hash: str  # of the transitions as they came

    @property
    def state_mean(self) -> np.ndarray:
        """(S,) float32, in the states' units."""
        return self.scaler.state_mean

    @property
    def state_std(self) -> np.ndarray:
        """(S,) float32, in the states' units."""
        return self.scaler.state_std

    @property
    def reward_mean(self) -> float:
        """What became 0."""
        return self.scaler.reward_mean

    @property
    def reward_std(self) -> float:
        """What became 1 above the mean."""
        return self.scaler.reward_std


def prepare(
    transitions: Transitions | ReplayFile, description: PolicyDescription, scaler: Scaler | None = None
) -> Prepared:
    """Standardise states and rewards and normalise actions to the limits; raises BadInput for bad data.

    Rewards become (r - mean) / max(std, 1e-6), so that a constant reward becomes all zeros. Actions beyond
    the limits are clipped to them and counted. With `scaler`, the scale is that of earlier data.
    """
    if isinstance(transitions, ReplayFile):
        return Prepared(transitions, *measure_file(transitions, description), transitions.source)
    check(transitions, description)
    scaler = scaler or Scaler.measure(transitions, description)
    actions = normalise(transitions.actions, scaler.action_low, scaler.action_high)
    beyond = (np.abs(actions) > 1 + 1e-6).any(1)
    return Prepared(scaler.apply(transitions), scaler, int(beyond.sum()), data_hash(transitions))


def measure_file(file: ReplayFile, description: PolicyDescription) -> tuple[Scaler, int]:
    """The scale of a file's transitions, as `Scaler.measure` has it, and how many have clipped actions.

    Two passes over the file, in double precision, some rows at a time. Raises BadInput where there are none.
    """
    if not len(file):
        raise BadInput("there are no transitions to learn from; the dataset's episodes are too short")
    low, high = np.float32(description.action_low), np.float32(description.action_high)
    state, columns = slice(file.state_size, 2 * file.state_size), 2 * file.state_size + file.action_size
    first = file.rows[0].astype(np.float64)
    total, squares, clipped = 0.0, 0.0, 0
    for rows in file.chunks():
        shifted = rows - first  # so that squares lose no digits, and a constant gives exact zeros
        total, squares = total + shifted.sum(0), squares + np.square(shifted).sum(0)
        actions = normalise(rows[:, state.stop : columns], low, high)
        clipped += int((np.abs(actions) > 1 + 1e-6).any(1).sum())
    mean = total / len(file)
    std = np.sqrt(np.maximum(squares / len(file) - np.square(mean), 0))
    mean += first
    return Scaler(
        mean[state].astype(np.float32),
        (std[state] + STD_FLOOR).astype(np.float32),
        low,
        high,
        float(mean[columns]),
        max(float(std[columns]), REWARD_STD_FLOOR),
    ), clipped


def check(transitions: Transitions, description: PolicyDescription) -> None:
    """Raise BadInput where transitions do not fit the description or hold a value that is not finite."""
    t = transitions
    if not len(t):
        raise BadInput("there are no transitions to learn from; the dataset's episodes are too short")
    for name, values, size in (
        ("observations", t.observations, description.given_size),
        ("actions", t.actions, len(description.action_names)),
    ):
        if values.shape[1] != size:
            raise BadInput(f"{name} have {values.shape[1]} numbers a step, but the description names {size}")
    for name in ("observations", "actions", "rewards", "masks", "next_observations"):
        values = getattr(t, name)
        finite = np.isfinite(values).all(tuple(range(1, values.ndim)))
        if not finite.all():
            step = int(np.flatnonzero(~finite)[0])
            raise BadInput(
                f"{name}: step {step} (frame {int(t.frame[step])} of the dataset) holds a value that is not "
                f"finite, as do {int((~finite).sum()) - 1} more; repair or leave out these steps"
            )


def data_hash(transitions: Transitions) -> str:
    """Hex SHA-256 of all that is learned from."""
    t, digest = transitions, hashlib.sha256()
    for values in (t.observations, t.actions, t.rewards, t.masks, t.next_observations):
        digest.update(str(values.shape).encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
