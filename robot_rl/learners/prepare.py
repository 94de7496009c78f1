"""Checks transitions and brings them to the scale that learners work in, remembering how."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicyDescription
from robot_rl.policies.policy import normalise

STD_FLOOR = 1e-3  # added to each state's standard deviation: a constant one must not be divided by zero
REWARD_STD_FLOOR = 1e-6
ACTION_BOUND = 1 - 1e-5  # beyond it, the actor's tanh could only follow with infinite weights


@dataclass(frozen=True)
class Prepared:
    """Transitions ready to learn from, and what was done to them."""

    transitions: Transitions  # states and rewards standardised, actions within ±ACTION_BOUND
    state_mean: np.ndarray  # (S,) float32, in the states' units
    state_std: np.ndarray  # (S,) float32
    reward_mean: float
    reward_std: float
    clipped_actions: int  # transitions with at least one action beyond the limits
    data_hash: str  # of the transitions as they came


def prepare(transitions: Transitions, description: PolicyDescription) -> Prepared:
    """Standardise states and rewards and normalise actions to the limits; raises BadInput for bad data.

    Rewards become (r - mean) / max(std, 1e-6), so that a constant reward becomes all zeros. Actions beyond
    the limits are clipped to them and counted.
    """
    check(transitions, description)
    t = transitions
    mean = t.observations.mean(0, dtype=np.float64).astype(np.float32)
    std = (t.observations.std(0, dtype=np.float64) + STD_FLOOR).astype(np.float32)
    # Measured from the first reward: then a constant reward gives exact zeros, whatever its rounding.
    shifted = t.rewards.astype(np.float64) - float(t.rewards[0])
    reward_std = max(float(shifted.std()), REWARD_STD_FLOOR)
    actions = normalise(t.actions, np.float32(description.action_low), np.float32(description.action_high))
    beyond = (np.abs(actions) > 1 + 1e-6).any(1)
    scaled = dataclasses.replace(
        t,
        observations=(t.observations - mean) / std,
        next_observations=(t.next_observations - mean) / std,
        actions=actions.clip(-ACTION_BOUND, ACTION_BOUND),
        rewards=((shifted - shifted.mean()) / reward_std).astype(np.float32),
    )
    reward_mean = float(shifted.mean()) + float(t.rewards[0])
    return Prepared(scaled, mean, std, reward_mean, reward_std, int(beyond.sum()), data_hash(t))


def check(transitions: Transitions, description: PolicyDescription) -> None:
    """Raise BadInput where transitions do not fit the description or hold a value that is not finite."""
    t = transitions
    if not len(t):
        raise BadInput("there are no transitions to learn from; the dataset's episodes are too short")
    for name, values, names in (
        ("observations", t.observations, description.state_names),
        ("actions", t.actions, description.action_names),
    ):
        if values.shape[1] != len(names):
            raise BadInput(
                f"{name} have {values.shape[1]} numbers a step, but the description names {len(names)}"
            )
    for name in ("observations", "actions", "rewards", "masks", "next_observations"):
        values = getattr(t, name)
        finite = np.isfinite(values).reshape(len(t), -1).all(1)
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
