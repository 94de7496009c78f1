"""Dataset cards: how a dataset is collected and what it should contain, from datasets/<name>.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from robot_rl.errors import BadInput, nearest
from robot_rl.specs.paths import outside
from robot_rl.specs.yaml_model import SpecModel, load_yaml_model

QUALITIES = ("random", "medium", "expert", "mixed", "replay")


class Behaviour(SpecModel):
    """Episodes are cut into segments; each draws what the arm does, and whether noise is added to it."""

    mix: dict[str, float] = Field(min_length=1)  # behaviour of the environment -> weight
    segment: tuple[int, int]  # steps, shortest and longest
    noisy: float = Field(ge=0, le=1)  # share of segments with noise
    noise: tuple[float, float]  # standard deviation of the action noise, drawn between these
    random_start: bool = True  # apply the task card's `start`

    @field_validator("mix")
    @classmethod
    def _positive(cls, value: dict[str, float]) -> dict[str, float]:
        for name, weight in value.items():
            if weight <= 0:
                raise ValueError(f"the weight of '{name}' must be above 0")
        return value


class Expected(SpecModel):
    """What was seen when the card was written; the command compares and says where it differs."""

    success_rate: tuple[float, float]  # share of episodes that reach success at any step, from–to
    returns: tuple[float, float] | None = None  # where the median of the episodes' true returns lies, from–to
    learned: dict[str, float] = {}  # measured success of what learns from it, such as bc, iql_true


class DatasetCard(SpecModel):
    """A dataset that can be collected again: task, quality, size, behaviour, and what to expect."""

    name: str
    task: str
    quality: Literal[QUALITIES]
    description: str
    licence: str
    episodes: int = Field(ge=1)
    steps: int = Field(ge=2)  # per episode
    behaviour: Behaviour | None = None
    parts: dict[Literal["random", "medium", "expert"], float] = {}  # or: other qualities -> share of episodes
    order: Literal["shuffled", "improving"] = (
        "shuffled"  # of the parts; improving: as a learner's memory fills
    )
    expected: Expected

    @model_validator(mode="after")
    def _one_way(self) -> DatasetCard:
        if (self.behaviour is None) == (not self.parts):
            raise ValueError("must hold either behaviour or parts")
        if any(share <= 0 for share in self.parts.values()):
            raise ValueError("parts: shares must be above 0")
        return self

    def behaviour_of(self, episode: int, episodes: int, rng: np.random.Generator) -> Behaviour:
        """What an episode of `episodes` does; `rng` is asked only where parts are shuffled."""
        if self.behaviour is not None:
            return self.behaviour
        names = [name for name in QUALITIES if name in self.parts]
        ends = np.cumsum([self.parts[name] for name in names])
        where = (episode + 0.5) / episodes if self.order == "improving" else rng.random()
        chosen = names[int(np.searchsorted(ends, where * ends[-1], side="right"))]
        return load_dataset_card(self.task, chosen).behaviour


def load_dataset_card(task: str, quality: str) -> DatasetCard:
    """Load datasets/<task>_<quality>.yaml; raises BadInput naming the qualities that there are."""
    folder = outside("datasets")
    known = sorted(p.stem.removeprefix(f"{task}_") for p in Path(folder).glob(f"{task}_*.yaml"))
    if quality not in known:
        raise BadInput(f"no quality '{quality}' for task '{task}'.{nearest(quality, known)}")
    return load_yaml_model(folder / f"{task}_{quality}.yaml", DatasetCard)
