"""How a success classifier looks and decides; saved with it, so that every user of it decides alike."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from robot_rl.errors import BadInput


@dataclass(frozen=True)
class SuccessConfig:
    """Settings of `SuccessClassifier.fit`; raises BadInput for a value that cannot be used."""

    false_positives: float = 0.05  # most of the frames without success that may be called success
    hold: int = 3  # frames in a row at or above the threshold until the goal counts as reached
    strip: int = 1  # frames that are looked at together, the last one being now
    stride: int = 5  # steps between the frames of a strip
    members: int = 5  # networks in the ensemble
    hidden: tuple[int, ...] = (64,)  # widths of the hidden layers; () is linear
    updates: int = 400  # of AdamW, its rate falling to 0 by a cosine
    batch_size: int = 256  # frames
    learning_rate: float = 1e-3
    weight_decay: float = 0.1  # a few dozen labels are soon learned by heart
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.hidden, list):
            object.__setattr__(self, "hidden", tuple(self.hidden))  # JSON knows no tuples
        for name in ("hold", "strip", "stride", "members", "updates", "batch_size"):
            _require(_is_whole(getattr(self, name), 1), name, getattr(self, name), "a whole number >= 1")
        _require(_is_whole(self.seed, 0), "seed", self.seed, "a whole number >= 0")
        whole = isinstance(self.hidden, tuple) and all(_is_whole(width, 1) for width in self.hidden)
        _require(whole, "hidden", self.hidden, "whole numbers >= 1")
        for name, low, high in (("false_positives", 0.0, 0.5), ("learning_rate", 0.0, 1.0)):
            value = getattr(self, name)
            _require(low < value <= high, name, value, f"above {low:g} and at most {high:g}")
        _require(0 <= self.weight_decay < float("inf"), "weight_decay", self.weight_decay, "finite and >= 0")


FIELDS = tuple(field.name for field in dataclasses.fields(SuccessConfig))


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise BadInput(f"success: {name} must be {rule}, not {value!r}")
