"""Task cards: what a task is called, shows, measures and says, read from sim/tasks/<name>.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator, model_validator

from robot_rl.errors import BadInput, nearest
from robot_rl.specs.paths import outside
from robot_rl.specs.randomise import Randomise
from robot_rl.specs.yaml_model import SpecModel, load_yaml_model


class Quantity(SpecModel):
    """One number of the state or the action, in order."""

    name: str
    unit: str


class Camera(SpecModel):
    """A free camera in the scene's frame: lengths in m, angles in degrees."""

    name: str = "front"
    look_at: tuple[float, float, float]
    azimuth: float
    elevation: float
    distance: float = Field(gt=0)
    size: int = Field(64, ge=32, le=1024)  # pixels, square
    follow: str | None = None  # the body whose place on the ground `look_at` is relative to
    hide: tuple[str, ...] = ()  # bodies out of the picture, not drawn: rendering is faster without them


class Start(SpecModel):
    """A joint that collected episodes find in a random position, as the last user of the scene left it."""

    joint: str
    low: float
    high: float
    probability: float = Field(ge=0, le=1)


class Level(SpecModel):
    """One step of a scale: ways to say it, and the geometry of which it is true.

    `when` maps a quantity that the environment measures to an open-ended range [low, high); null is no bound.
    """

    say: tuple[str, ...] = Field(min_length=1)
    when: dict[str, tuple[float | None, float | None]] = {}


class Scale(SpecModel):
    """What to look at, in ordered words: from farthest from the goal to nearest."""

    name: str
    subject: tuple[str, ...] = Field(min_length=1)  # sentence openings, such as "the drawer is {}"
    levels: tuple[Level, ...] = Field(min_length=2)

    @field_validator("subject")
    @classmethod
    def _has_a_place(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if text.count("{}") != 1:
                raise ValueError("must hold one {} where the level's words go")
        return value

    def level(self, quantities: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N,) int64: the nearest-to-goal level of which each frame's geometry is true (0 where none is).

        `quantities` maps names to (N,) arrays; a name that the environment does not measure raises BadInput.
        """
        count = len(next(iter(quantities.values())))
        found = np.zeros(count, np.int64)
        for index, level in enumerate(self.levels):
            holds = np.ones(count, bool)
            for name, (low, high) in level.when.items():
                if name not in quantities:
                    raise BadInput(
                        f"scale '{self.name}': unknown quantity '{name}'.{nearest(name, quantities)}"
                    )
                value = quantities[name]
                holds &= (value >= (-np.inf if low is None else low)) & (
                    value < (np.inf if high is None else high)
                )
            found[holds] = index
        return found


class TaskCard(SpecModel):
    """A task: its environment, its goal in words and the opposite, what is seen and what is measured."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    environment: str  # "<family>:<name in that family>"
    robot: str  # what acts, as it is written into datasets
    goal: str = Field(min_length=1)
    opposite: str = Field(min_length=1)
    reverse_task: str | None = None
    # An episode may begin wherever the last one ended, with nothing undone, as in walking; success is that of
    # a whole episode, told at its last step.
    goes_on: bool = False
    control_rate: float = Field(gt=0)  # Hz
    episode_length: int = Field(ge=2)  # steps
    success: str  # in words: what the simulator tests
    camera: Camera
    state: tuple[Quantity, ...]
    actions: tuple[Quantity, ...]
    expert: str | None = None  # the scripted policy that opens, presses, … where the family has several
    undo: str | None = None  # the scripted policy that does the opposite
    undo_object_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m, to where `undo` expects the object
    undo_goal_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m, to where `undo` has to bring it
    start: Start | None = None
    randomise: Randomise | None = None  # what differs between episodes where a command is told --randomise
    options: dict[str, float | str | bool] = {}  # what the family's code reads besides, checked by it
    scales: tuple[Scale, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _family_is_given(self) -> TaskCard:
        if ":" not in self.environment:
            raise ValueError("environment must read <family>:<name>, such as metaworld:drawer-open-v3")
        return self


def task_names() -> list[str]:
    """List the tasks that come with the project."""
    return sorted(path.stem for path in outside("sim", "tasks").glob("*.yaml"))


def load_task(name: str | Path) -> TaskCard:
    """Load a task by its name, or by the path of a card; raises BadInput naming the nearest known names."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = task_names()
        if str(name) not in known:
            raise BadInput(f"no task '{name}'.{nearest(str(name), known)}")
        path = outside("sim", "tasks", f"{name}.yaml")
    return load_yaml_model(path, TaskCard)
