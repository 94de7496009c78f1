"""What `robot-rl finetune RUN --reset-free` can be told of practice, and what it does by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class PracticeConfig:
    """With --reset-free: how the robot practises, and how new weights are judged."""

    lock_step: bool = False
    """Robot and learner take turns in one process, so that the same seed gives the same run; else each has a
    process of its own."""
    pace: float = 1.0
    """Control periods of the simulated robot a real one: 1 is real time; 0 as fast as the learner follows."""
    success: tuple[Path, ...] = ()
    """Folders of success classifiers (robot-rl success), forward then backward, that judge the rendered
    picture; default: the simulator's own test."""
    time_out: int | None = None
    """Control steps of a try; default: the episode length of each task's card."""
    hold: int = 3
    """Control steps in a row that count as success; 1 where the task is judged as a whole, as walking."""
    window: int = 0
    """Control steps without a rise of the reward that end a try as stuck; 0: never."""
    tries: int = 8
    """Failed tries of a task in a row, after which the robot shakes itself loose; one that walks does so only
    where it gets up in vain."""
    perturbations: int = 3
    """Times it does so for a task in a row before it asks for help."""
    home: bool = True
    """Go home before each try, where the family of tasks has a way; a robot that walks always gets up."""
    on_help: Literal["wait", "reset"] = "wait"
    """What happens when it asks for help: wait until this command is stopped, or set the world up anew, which
    is counted as a reset."""
    vary: int = 8
    """Control steps of random motion that begin each try where the robot goes home before it: practised from
    one place alone, a policy succeeded there always and from 5 cm beside it three times in four."""
    noise: float | None = None
    """Of exploring, in the policy's own standard deviations; default: 1 for calql and rlpd, 0.4 for iql,
    whose deviation is that of the data, noise of their making included; a quarter of it for a walk."""
    publish_every: int = 1000
    """Environment steps after which new weights are given to the robot."""
    margin: float = 0.1
    """By how much mean success over the tasks may fall, chance besides, before weights are taken back."""
    patience: int = 3
    """Bad weights in a row after which the learner itself goes back to the best."""
    reweigh: bool = False
    """Draw prior data by task, most of those that fail or waver and least of those that always succeed; then
    every simulated task that RUN was trained for is judged, not the two alone that are practised."""
    film: bool = True
    """Keep pictures of the first and the latest tries."""
    judged_by: Literal["world", "tries"] = "world"
    """Who judges new weights. world: episodes in a simulated world of their own, by the simulator's success.
    tries: the robot's own, noise included, as on a real robot."""
    scenes: Literal["same", "random"] = "same"
    """Where new weights are judged: things stand as where the robot practises, or anywhere."""
