"""Keeps what was known: which task's prior data to draw from, by how each task's success has been going.

The idea is RECAP's (arXiv 2510.21978): objectives that are saturated give up their share of replay to those
that fail or waver, judged by the short-horizon slope and volatility of each. Evaluations of all tasks go in,
sampling weights come out; nothing else of a learner is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from robot_rl.errors import BadInput, nearest
from robot_rl.learners.batch import Batch, TransitionTable
from robot_rl.policies.conditioning import PREFIX, tasks_of

if TYPE_CHECKING:
    from robot_rl.data.replay import Transitions
    from robot_rl.learners.online import OnlineLearner


@dataclass(frozen=True)
class Reweighting:
    """How success becomes weight; raises BadInput for a value that is not valid."""

    window: int = 4  # last evaluations of a task that count
    temperature: float = 0.25  # of the softmax over urgencies; a large one keeps all tasks alike
    least: float = 0.5  # of its equal share, that a saturated task keeps at least

    def __post_init__(self) -> None:
        if self.window < 2 or not self.temperature > 0 or not 0 <= self.least <= 1:
            raise BadInput(f"reweighting needs window >= 2, temperature > 0 and least in [0, 1], not {self}")


def urgency(success: Sequence[float]) -> float:
    """How much a task needs its data, from its last success rates, oldest first.

    gap + max(-slope, 0) * (n - 1) + volatility: gap is 1 - mean, slope the least-squares change an
    evaluation, so that the second term is what was lost over the window, and volatility the standard
    deviation around that line. A task that always succeeds has 0; one that never does has 1; one that falls
    or wavers has more than its mean alone says.
    """
    values = np.asarray(success, np.float64)
    gap, n = 1.0 - values.mean(), len(values)
    if n < 2:
        return float(gap)
    time = np.arange(n) - (n - 1) / 2
    slope = float((time * values).sum() / (time**2).sum())
    around = values - values.mean() - slope * time
    return float(gap + max(-slope, 0.0) * (n - 1) + around.std())


def weights_of(urgencies: np.ndarray, config: Reweighting) -> np.ndarray:
    """Sampling weights (K,), of sum 1, of tasks with these urgencies (K,).

    least / K + (1 - least) * softmax(urgency / temperature): none falls below `least` of its equal share.
    """
    scaled = (urgencies - urgencies.max()) / config.temperature
    share = np.exp(scaled) / np.exp(scaled).sum()
    return config.least / len(urgencies) + (1 - config.least) * share


class TaskWeights:
    """Remembers the success of each task, and says how much of the prior data is to be whose."""

    def __init__(self, tasks: Sequence[str], config: Reweighting | None = None) -> None:
        self.tasks, self.config = tuple(tasks), config or Reweighting()
        self._success: dict[str, list[float]] = {task: [] for task in self.tasks}

    def observe(self, success: Mapping[str, float]) -> None:
        """Take an evaluation: the success in [0, 1] of some tasks or all; raises BadInput for others."""
        for task, value in success.items():
            if task not in self._success:
                raise BadInput(f"reweighting: no task '{task}'.{nearest(task, self.tasks)}")
            if not 0 <= value <= 1:
                raise BadInput(f"reweighting: success of '{task}' must be in [0, 1], not {value}")
            self._success[task] = [*self._success[task], float(value)][-self.config.window :]

    def weights(self) -> np.ndarray:
        """Weights (K,) in the order of the tasks; alike until each was evaluated."""
        if not all(self._success.values()):
            return np.full(len(self.tasks), 1 / len(self.tasks))
        urgencies = np.array([urgency(self._success[task]) for task in self.tasks])
        return weights_of(urgencies, self.config)

    def state_dict(self) -> dict[str, list[float]]:
        """The success that is remembered, for JSON."""
        return {task: list(values) for task, values in self._success.items()}

    def load_state_dict(self, state: Mapping[str, Sequence[float]]) -> None:
        """Remember again what `state_dict` gave; raises BadInput as `observe` does."""
        self._success = {task: [] for task in self.tasks}
        for task, values in state.items():
            for value in values:
                self.observe({task: value})


class TaskTable:
    """A table of transitions whose batches are drawn by task: first whose, then uniformly among them."""

    def __init__(self, table: TransitionTable, tasks: np.ndarray, weights: np.ndarray) -> None:
        """tasks (N,) int64 are those of the table's rows, weights (K,) those of the tasks.

        Raises BadInput where they do not fit, or a task with weight has no row.
        """
        tasks = np.asarray(tasks, np.int64)
        if tasks.shape != (len(table),) or (
            len(tasks) and not 0 <= tasks.min() <= tasks.max() < len(weights)
        ):
            raise BadInput(
                f"reweighting: needs a task of 0 to {len(weights) - 1} for each of {len(table)} transitions"
            )
        self._table = table
        self._order = torch.from_numpy(np.argsort(tasks, kind="stable"))
        self._count = torch.from_numpy(np.bincount(tasks, minlength=len(weights)))
        self._start = torch.cumsum(self._count, 0) - self._count
        self.weigh(weights)

    def __len__(self) -> int:
        return len(self._table)

    def weigh(self, weights: np.ndarray) -> None:
        """Draw by these weights (K,) from now on."""
        weights = torch.as_tensor(np.asarray(weights, np.float64))
        if weights.shape != self._count.shape or not bool((weights >= 0).all()) or not weights.sum() > 0:
            raise BadInput(f"reweighting: needs {len(self._count)} weights >= 0, not {weights.tolist()}")
        empty = (weights > 0) & (self._count == 0)
        if bool(empty.any()):
            raise BadInput(f"reweighting: task {int(empty.int().argmax())} has weight but no transition")
        self._weights = weights

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw a batch with replacement."""
        task = torch.multinomial(self._weights, batch_size, replacement=True, generator=generator)
        place = torch.rand(batch_size, generator=generator, dtype=torch.float64) * self._count[task]
        return self.rows(self._order[self._start[task] + place.long()])

    def rows(self, indices: Tensor) -> Batch:
        """The batch of the given rows (B,) int64 of the table."""
        return self._table.rows(indices)


class Reweigher:
    """Lets the prior data of a learner of several tasks follow what evaluations say of each task."""

    def __init__(
        self, learner: OnlineLearner, transitions: Transitions, config: Reweighting | None = None
    ) -> None:
        """Take the learner and the prior transitions that it was given, whose states name their task."""
        names = learner.offline.spec.state_names
        columns = [k for k, name in enumerate(names) if name.startswith(PREFIX)]
        self._weights, self._learner = TaskWeights(tasks_of(names), config), learner
        self._tasks = transitions.observations[:, columns].argmax(1)  # (N,)

    def __call__(self, success: Mapping[str, float]) -> dict[str, float]:
        """Take an evaluation, task -> success in [0, 1]; returns each task's share of the prior data."""
        self._weights.observe(success)
        weights = self._weights.weights()
        self._learner.weigh_tasks(self._tasks, weights)
        return dict(zip(self._weights.tasks, weights.tolist(), strict=True))
