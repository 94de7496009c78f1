"""Transitions for learning: gathered once from a dataset, sampled in batches, grown online. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.data import layout
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput


@dataclass(frozen=True)
class Transitions:
    """N transitions in the order of time; also a batch, where the order is that of sampling."""

    observations: np.ndarray  # (N, S) float32
    actions: np.ndarray  # (N, A) float32
    rewards: np.ndarray  # (N,) float32
    masks: np.ndarray  # (N,) float32: 1 - terminated; a timeout is not a termination
    next_observations: np.ndarray  # (N, S) float32
    episode_ends: np.ndarray  # (N,) bool: last transition of its episode, terminated or not
    frame: np.ndarray  # (N,) int64: the dataset's frame, -1 for online ones
    dropped: int = 0  # last steps left out because what followed is unknown

    def __len__(self) -> int:
        return len(self.actions)

    def mc_returns(self, discount: float, endless: bool = True) -> np.ndarray:
        """(N,) float32 discounted sums of rewards from each step on; raises BadInput for a discount of 1.

        Nothing follows a termination. An episode that was cut, by a timeout or the end of the data, is taken
        to go on with its last reward r for ever, r / (1 - discount), as in Cal-QL's code: for failures with a
        constant reward, and for tasks without an end. Not `endless`: nothing follows a cut either.
        """
        if not 0 <= discount < 1:
            raise BadInput(f"discount must be at least 0 and below 1 for returns, not {discount}")
        ends = self.episode_ends.copy()
        ends[-1:] = True
        returns = self.rewards.astype(np.float64)
        if endless:
            returns[ends & (self.masks > 0)] /= 1 - discount
        # weight[t] is that of returns[t + step], in which twice as many steps are summed after every round.
        weight, step = np.where(ends, 0.0, discount * self.masks.astype(np.float64)), 1
        while weight.any():
            returns[:-step] += weight[:-step] * returns[step:]
            weight[:-step] *= weight[step:]
            weight[-step:] = 0.0
            step *= 2
        return returns.astype(np.float32)


@dataclass(frozen=True)
class Observed:
    """What is learned from in place of a dataset's state, such as parts of it and features of pictures."""

    frames: np.ndarray  # (N, S) float32, of every frame
    finals: np.ndarray  # (E, S) after each episode's last action
    known: np.ndarray  # (E,) bool: whether that row of `finals` is


def transitions_from_dataset(
    dataset: Dataset, reward_column: str | None = layout.REWARD, observed: Observed | None = None
) -> Transitions:
    """Gather all transitions of a dataset; rewards are zero where `reward_column` is None.

    Observations are the dataset's states, or what `observed` holds.

    An episode's last step leads to its final observation. Without one it is kept if the episode terminated
    (its mask is 0, so what follows does not matter) and dropped otherwise.
    """
    absent = dataset.info.metadata.get("placeholders")
    if absent:
        raise BadInput(
            f"{dataset.root} has no {' and no '.join(absent)}, only zeros in their place; it can be labeled "
            "and given a reward, but training needs what the robot felt and did: import it with a CSV file"
        )
    dataset.columns(
        [layout.STATE, layout.ACTION, *([reward_column] if reward_column else [])]
    )  # read together
    states = dataset.column(layout.STATE) if observed is None else observed.frames
    last = dataset.starts + dataset.lengths - 1  # (E,)
    following = np.empty_like(states)
    following[:-1] = states[1:]
    finals, known = final_states(dataset) if observed is None else (observed.finals, observed.known)
    following[last] = states[last]
    if finals is not None:
        following[last[known]] = finals[known]
    masks = np.ones(len(states), np.float32)
    masks[last[dataset.terminated]] = 0.0
    lost = last[~known & ~dataset.terminated]
    ends = np.zeros(len(states), bool)
    ends[last] = True
    ends[lost - 1] = True  # episodes have at least 2 steps
    if reward_column is None:
        rewards = np.zeros(len(states), np.float32)
    else:
        rewards = np.asarray(dataset.column(reward_column), np.float32)
    frames = np.arange(len(states))
    arrays = (states, dataset.column(layout.ACTION), rewards, masks, following, ends, frames)
    if len(lost):  # without losses nothing is copied: the dataset's own arrays are shared, read-only
        keep = np.delete(frames, lost)
        arrays = tuple(values[keep] for values in arrays)
    return Transitions(*arrays, len(lost))


def final_states(dataset: Dataset) -> tuple[np.ndarray | None, np.ndarray]:
    """The states (E, S) after each episode's last action, and which of them are known (E,) bool."""
    finals = dataset.final_states()
    known = np.zeros(len(dataset), bool) if finals is None else np.isfinite(finals).all(1)
    return finals, known


class ReplayBuffer:
    """A ring of transitions; a row holds all of one transition, so that sampling is one gather."""

    def __init__(self, observation_size: int, action_size: int, capacity: int):
        """Reserve room for `capacity` transitions; beyond it the oldest are overwritten."""
        if capacity < 1:
            raise BadInput(f"capacity is {capacity}; a replay buffer needs room for at least 1 transition")
        self._observation_size, self._action_size = observation_size, action_size
        self._rows = np.zeros((capacity, 2 * observation_size + action_size + 3), np.float32)
        self._frames = np.full(capacity, -1, np.int64)
        self._added = 0

    @classmethod
    def from_transitions(cls, transitions: Transitions, capacity: int | None = None) -> ReplayBuffer:
        """A buffer that holds `transitions`, with room for `capacity` in all (default: just these)."""
        buffer = cls(
            transitions.observations.shape[1],
            transitions.actions.shape[1],
            capacity or max(len(transitions), 1),
        )
        buffer.extend(transitions)
        return buffer

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    @property
    def capacity(self) -> int:
        """How many transitions fit."""
        return len(self._rows)

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        reward: float,
        mask: float,
        next_observation: np.ndarray,
        episode_end: bool = False,
    ) -> None:
        """Add one transition (S,), (A,), reward, 1 - terminated, (S,); overwrites the oldest when full."""
        one = Transitions(
            np.asarray(observation)[None],
            np.asarray(action)[None],
            np.array([reward]),
            np.array([mask]),
            np.asarray(next_observation)[None],
            np.array([episode_end]),
            np.array([-1]),
        )
        self.extend(one)

    def extend(self, transitions: Transitions) -> None:
        """Add transitions in order; BadInput for sizes that do not fit or values that are not finite."""
        t = transitions
        sizes = t.observations.shape[1], t.actions.shape[1], t.next_observations.shape[1]
        expected = self._observation_size, self._action_size, self._observation_size
        if sizes != expected:
            raise BadInput(
                f"transition: observation, action, next observation have sizes {sizes}, not {expected}"
            )
        scalars = np.stack([t.rewards, t.masks, t.episode_ends], 1)
        rows = np.concatenate([t.observations, t.next_observations, t.actions, scalars], 1).astype(np.float32)
        if not np.isfinite(rows).all():
            bad = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
            raise BadInput(f"transition {bad} holds a value that is not finite")
        skip = max(0, len(rows) - self.capacity)
        slots = np.arange(self._added + skip, self._added + len(rows)) % self.capacity
        self._rows[slots], self._frames[slots] = rows[skip:], t.frame[skip:]
        self._added += len(rows)

    def sample(self, rng: np.random.Generator, batch_size: int) -> Transitions:
        """Draw `batch_size` transitions uniformly, with replacement."""
        if not len(self):
            raise BadInput("the replay buffer is empty; add transitions before sampling")
        return self._gather(rng.integers(len(self), size=batch_size))

    def all(self) -> Transitions:
        """Every transition, oldest first."""
        first = self._added % self.capacity if self._added > self.capacity else 0
        return self._gather((first + np.arange(len(self))) % self.capacity)

    def _gather(self, slots: np.ndarray) -> Transitions:
        rows, size = self._rows[slots], self._observation_size
        actions, scalars = rows[:, 2 * size : -3], rows[:, -3:]
        return Transitions(
            rows[:, :size],
            actions,
            scalars[:, 0],
            scalars[:, 1],
            rows[:, size : 2 * size],
            scalars[:, 2] > 0.5,
            self._frames[slots],
        )
