"""How a reward model is fitted; saved with the model, so that a fit can be repeated."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from robot_rl.errors import BadInput


@dataclass(frozen=True)
class RewardConfig:
    """Settings of `RewardModel.fit`; raises BadInput for a value that cannot be used."""

    members: int = 3  # networks in the ensemble
    hidden: tuple[int, ...] = (64,)  # widths of the hidden layers; () is a linear reward
    epochs: int = 30  # passes over the pairs; at least heads.MIN_UPDATES updates are made
    batch_size: int = 256  # pairs
    learning_rate: float = 1e-3  # of AdamW at the start; a cosine brings it to 0
    weight_decay: float = 1e-4
    learn_noise: bool = True  # estimate how often labels are flipped, each member for itself
    bootstrap: bool = True  # each member sees its own resample of the pairs
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.hidden, list):
            object.__setattr__(self, "hidden", tuple(self.hidden))  # JSON and YAML know no tuples
        whole = isinstance(self.hidden, tuple) and all(_is_int(width) and width >= 1 for width in self.hidden)
        _require(whole, "hidden", self.hidden, "whole numbers >= 1")
        for name, low in (("members", 1), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            _require(_is_int(value) and value >= low, name, value, f"a whole number >= {low}")
        for name in ("learn_noise", "bootstrap"):
            _require(isinstance(getattr(self, name), bool), name, getattr(self, name), "true or false")
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            _require(number and value >= 0, name, value, "a finite number >= 0")
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "greater than 0")


FIELDS = tuple(field.name for field in fields(RewardConfig))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise BadInput(f"reward config: {name} must be {rule}, not {value!r}")
