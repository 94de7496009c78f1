"""What a robot lives through online: a growing table to sample from, and its record on disk.

`Transition`s come one by one, in physical units; `Experience` holds them scaled, as batches need them, and
`Record` appends them as they came to a folder, from which a killed run fills its table again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.learners.batch import Batch
from robot_rl.learners.n_step import n_step
from robot_rl.policies.checkpoint import write_atomically


@dataclass(frozen=True)
class Transition:
    """One step of an episode; where it is the last, it either terminated or was cut (truncated)."""

    observation: np.ndarray  # (S,) float32
    action: np.ndarray  # (A,) float32, the one executed
    reward: float
    next_observation: np.ndarray  # (S,) float32, the real one also at an episode's end
    terminated: bool = False  # nothing follows: the value beyond is 0
    truncated: bool = False  # a timeout or another cut: the value beyond is that of next_observation

    @property
    def ended(self) -> bool:
        """Whether it is its episode's last."""
        return self.terminated or self.truncated


def gather(steps: list[Transition]) -> Transitions:
    """The arrays of consecutive transitions."""
    return Transitions(
        np.stack([np.asarray(s.observation, np.float32) for s in steps]),
        np.stack([np.asarray(s.action, np.float32) for s in steps]),
        np.array([s.reward for s in steps], np.float32),
        np.array([not s.terminated for s in steps], np.float32),
        np.stack([np.asarray(s.next_observation, np.float32) for s in steps]),
        np.array([s.ended for s in steps], bool),
        np.full(len(steps), -1, np.int64),
    )


class Experience:
    """A ring of up to `capacity` rows, laid out as in `batch.TransitionTable`, so that a batch is one gather.

    With n > 1 a step can be drawn once the n - 1 after it are known or its episode has ended; with
    `returns`, once its episode has ended.
    """

    def __init__(
        self,
        state_size: int,
        action_size: int,
        capacity: int,
        *,
        n: int = 1,
        discount: float = 0.99,
        returns: bool = False,
    ):
        if capacity < 1:
            raise BadInput(f"capacity is {capacity}; experience needs room for at least 1 transition")
        self._state, self._action, self._returns = state_size, action_size, returns
        self._n, self._discount = n, discount
        self._rows = torch.zeros(capacity, 2 * state_size + action_size + 2 + returns)
        self._pending: list[Transition] = []  # of the episode in progress
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._rows))

    def add(self, step: Transition) -> None:
        """Add one scaled transition; the oldest are overwritten when the ring is full."""
        self._pending.append(step)
        if step.ended:
            self._flush(len(self._pending))
        elif not self._returns and len(self._pending) >= self._n:
            self._flush(1)

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw a batch uniformly, with replacement; raises BadInput while there is nothing to draw."""
        if not len(self):
            raise BadInput("there is no online experience yet; collect some steps before updating")
        return self.rows(torch.randint(len(self), (batch_size,), generator=generator))

    def rows(self, indices: Tensor) -> Batch:
        """The batch of the given rows (B,) int64, in the order of adding until the ring is full."""
        rows, state = self._rows.index_select(0, indices), self._state
        rewards = 2 * state + self._action
        return Batch(
            observations=rows[:, state : 2 * state],
            actions=rows[:, 2 * state : rewards],
            observations_actions=rows[:, state:rewards],
            rewards=rows[:, rewards],
            masks=rows[:, rewards + 1],
            next_observations=rows[:, :state],
            mc_returns=rows[:, rewards + 2] if self._returns else None,
        )

    def _flush(self, count: int) -> None:
        """Write the first `count` pending steps into the ring."""
        steps = gather(self._pending)
        t = n_step(steps, self._n, self._discount)
        columns = [t.next_observations, t.observations, t.actions, t.rewards[:, None], t.masks[:, None]]
        if self._returns:
            columns.append(steps.mc_returns(self._discount)[:, None])
        rows = torch.from_numpy(np.concatenate(columns, 1)[:count])[-len(self._rows) :]
        slots = torch.arange(self._added + count - len(rows), self._added + count) % len(self._rows)
        self._rows[slots] = rows
        self._added += count
        del self._pending[:count]


class Record:
    """Transitions as they came, in numbered parts of a folder; no part changes once it is written."""

    def __init__(self, folder: Path):
        self._folder, self._unsaved = folder, []
        self.saved = 0  # transitions on disk

    def add(self, step: Transition) -> None:
        """Remember a transition for the next part."""
        self._unsaved.append(step)

    def save(self) -> None:
        """Write what came since the last part as a new one."""
        if not self._unsaved:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        t = gather(self._unsaved)
        names = ("observations", "actions", "rewards", "masks", "next_observations", "episode_ends")
        content = save({name: np.ascontiguousarray(getattr(t, name)) for name in names})
        write_atomically(self._folder / f"part-{self.saved:09d}.safetensors", content)
        self.saved += len(t)
        self._unsaved = []

    def load(self, count: int) -> Iterator[Transition]:
        """Yield the first `count` transitions and remove parts beyond; raises BadInput where some miss.

        A run that was killed after its last state may have written such parts.
        """
        for path in sorted(self._folder.glob("part-*.safetensors")):
            if int(path.stem.removeprefix("part-")) >= count:
                path.unlink()
                continue
            try:
                part = load(path.read_bytes())
            except SafetensorError as error:
                raise BadInput(f"{path} is damaged ({error}); start the run in another folder") from error
            yield from _steps(part)
            self.saved += len(part["rewards"])
        if self.saved != count:
            raise BadInput(
                f"{self._folder} holds {self.saved} transitions, the run's state speaks of {count}; "
                "start the run in another folder"
            )


def _steps(part: dict[str, np.ndarray]) -> Iterator[Transition]:
    """The transitions of one part."""
    for k in range(len(part["rewards"])):
        terminated = not part["masks"][k]
        yield Transition(
            part["observations"][k],
            part["actions"][k],
            float(part["rewards"][k]),
            part["next_observations"][k],
            terminated,
            bool(part["episode_ends"][k]) and not terminated,
        )
