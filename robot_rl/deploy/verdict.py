"""Whether new weights are better or worse than the best so far, from the tries of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from robot_rl.errors import BadInput

Tally = Mapping[str, tuple[int, int]]  # task -> (tries, successes)
Verdict = Literal["better", "worse", "same"]


@dataclass(frozen=True)
class Judging:
    """How candidates are judged; raises BadInput for a value that is not valid."""

    tries: int = 10  # of each task that a candidate needs before it is judged
    margin: float = 0.1  # mean success over the tasks may fall by so much
    errors: float = 1.0  # … and by so many standard errors of the difference besides

    def __post_init__(self) -> None:
        if self.tries < 1 or not 0 <= self.margin < 1 or self.errors < 0:
            raise BadInput(f"judging needs tries >= 1, a margin in [0, 1) and errors >= 0, not {self}")

    def ready(self, tally: Tally, tasks: tuple[str, ...]) -> bool:
        """Whether each task has been tried often enough."""
        return all(tally.get(task, (0, 0))[0] >= self.tries for task in tasks)

    def __call__(self, candidate: Tally, best: Tally) -> Verdict:
        """Compare the mean success over the tasks that both tried; chance has to explain "worse" badly.

        Without tries of the best, any candidate is better.
        """
        tasks = [t for t, (tries, _) in candidate.items() if tries and best.get(t, (0, 0))[0]]
        if not tasks:
            return "better"
        fall = _mean(best, tasks) - _mean(candidate, tasks)
        error = math.hypot(_error(best, tasks), _error(candidate, tasks))
        if fall > self.margin + self.errors * error:
            return "worse"
        return "better" if fall <= 0 else "same"


def _mean(tally: Tally, tasks: list[str]) -> float:
    return sum(tally[t][1] / tally[t][0] for t in tasks) / len(tasks)


def _error(tally: Tally, tasks: list[str]) -> float:
    """Standard error of the mean; one success and one failure are added to each task (Agresti and Caffo)."""
    shares = [((tally[t][1] + 1) / (tally[t][0] + 2), tally[t][0] + 2) for t in tasks]
    return math.sqrt(sum(p * (1 - p) / n for p, n in shares)) / len(tasks)
