"""The rules of practice without resets: when a try ends, when the robot is stuck, when it asks for help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from robot_rl.errors import BadInput


@dataclass(frozen=True)
class Rules:
    """What a supervisor goes by; raises BadInput for a value that is not valid.

    A round of `tries` in vain is followed by a perturbation; after `perturbations` such rounds the robot asks
    for help. The same goes for ways home in vain, one a round, where no try can begin elsewhere.
    """

    tasks: tuple[str, ...]  # forward and backward, or one whose tries follow each other
    time_out: Mapping[str, int]  # control steps of a try, for each task
    control_rate: float  # Hz
    threshold: float = 0.5  # of the probability of success
    thresholds: Mapping[str, float] = field(default_factory=dict)  # … for tasks that have their own
    hold: int = 3  # steps in a row over the threshold that count as success
    window: int = 0  # steps without progress that end a try as stuck; 0: never
    least_progress: float = 1e-3  # by which progress must rise, in its own unit
    tries: int = 8  # failed ones in a row of one task, before the robot shakes itself loose; 0: it never does
    perturbations: int = 3  # for one task in a row, before it asks for help
    perturb_steps: int = 60  # control steps of random motion
    home_steps: int = 0  # at most so many to go home before each try; 0: it never goes home
    only_from_home: bool = False  # no try can begin elsewhere, as where home is to stand on its feet

    def __post_init__(self) -> None:
        if not 1 <= len(self.tasks) == len(set(self.tasks)) <= 2:
            raise BadInput(
                f"tasks must be two that undo each other, or one that goes on, not {', '.join(self.tasks)}"
            )
        if set(self.time_out) != set(self.tasks):
            raise BadInput(f"time_out must name the steps of {' and '.join(self.tasks)}")
        least = {"hold": 1, "tries": 0, "perturb_steps": 1, "window": 0, "perturbations": 0, "home_steps": 0}
        values = {name: getattr(self, name) for name in least}
        for task, steps in self.time_out.items():
            values[f"time_out of {task}"], least[f"time_out of {task}"] = steps, 2
        for name, value in values.items():
            if value < least[name]:
                raise BadInput(f"{name} must be at least {least[name]}, not {value}")
        for threshold in (self.threshold, *self.thresholds.values()):
            if not 0 < threshold <= 1:
                raise BadInput(f"threshold is a probability above 0, at most 1, not {threshold}")
        if self.only_from_home and not self.home_steps:
            raise BadInput("home_steps must be at least 1 where tries begin only at home")
        if self.control_rate <= 0:
            raise BadInput(f"control_rate must be above 0 Hz, not {self.control_rate}")

    def other(self, task: str) -> str:
        """The task that comes after `task`: the one that undoes it, or itself where there is one."""
        return self.tasks[-1] if task == self.tasks[0] else self.tasks[0]

    def reached(self, task: str, success: float) -> bool:
        """Whether a probability of success counts as success for this step."""
        return success >= self.thresholds.get(task, self.threshold)

    def call(self, task: str, why: str) -> str:
        """What a person is asked, in one line."""
        if why == "not_home":
            return "the robot does not get up: set it on its feet, then let it go on"
        told = "the object is out of reach" if why == "out_of_reach" else f"{task} fails again and again"
        return f"{told}: set the scene right, then let the robot go on"

    def to_json(self) -> dict[str, Any]:
        """As JSON gives it back."""
        return json.loads(json.dumps(asdict(self)))
