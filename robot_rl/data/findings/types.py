"""What checks of recorded episodes look at (signals) and what they say (findings with their places)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LEVELS = ("error", "warning", "note")  # unusable as it is; probably wrong; true and worth knowing


@dataclass(frozen=True)
class Place:
    """A range of steps in one episode; both ends belong to it."""

    episode: int
    first: int  # step
    last: int  # step

    def __str__(self) -> str:
        steps = f"step {self.first}" if self.first == self.last else f"steps {self.first}-{self.last}"
        return f"episode {self.episode}, {steps}"


@dataclass(frozen=True)
class Finding:
    """One thing that a dataset's user should know: what, on which channel, where, and what to do."""

    kind: str  # one of KINDS in robot_rl.data.findings
    level: str  # one of LEVELS
    channel: str  # "state.hand_x", "camera side", "timestamp"; "" for whole episodes
    what: str
    remedy: str
    places: tuple[Place, ...]  # by episode and step

    @property
    def episodes(self) -> tuple[int, ...]:
        """The episodes concerned, each once."""
        return tuple(dict.fromkeys(place.episode for place in self.places))

    def where(self, total: int, shown: int = 4) -> str:
        """Name the places, the first `shown` of them, or say that it is in all `total` episodes."""
        if len(self.episodes) == total > 1 and len(self.places) == total:
            return f"all {total} episodes"
        more = len(self.places) - shown
        told = "; ".join(map(str, self.places[:shown]))
        return told + (f"; and {more} more, {len(self.episodes)} episodes in all" if more > 0 else "")


@dataclass(frozen=True)
class Signal:
    """One vector field over all steps of some episodes, one episode behind the other."""

    field: str  # "state", "action", "reward", "success" or another column's name
    parts: tuple[str, ...]  # (K,) names; one empty name for a plain number
    units: tuple[str, ...]  # (K,) "" where unknown
    values: np.ndarray  # (N, K) float32
    starts: np.ndarray  # (E,) int64 first row of each episode
    episodes: np.ndarray  # (E,) int64 the episodes' numbers in the dataset

    @cached_property
    def lengths(self) -> np.ndarray:
        """(E,) int64 steps of each episode."""
        return np.diff(np.append(self.starts, len(self.values)))

    @cached_property
    def owner(self) -> np.ndarray:
        """(N,) int64 which of the E episodes each row belongs to."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def changes(self) -> np.ndarray:
        """(N, K) bool whether a value differs from the one a step before; False where an episode begins."""
        moved = np.zeros(self.values.shape, bool)
        moved[1:] = self.values[1:] != self.values[:-1]
        moved[self.starts] = False
        return moved

    @cached_property
    def ranges(self) -> np.ndarray:
        """(E, K) largest minus smallest finite value of each episode; 0 where there is none."""
        low = np.where(np.isfinite(self.values), self.values, np.inf)
        high = np.where(np.isfinite(self.values), self.values, -np.inf)
        spread = np.maximum.reduceat(high, self.starts) - np.minimum.reduceat(low, self.starts)
        return np.where(np.isfinite(spread), spread, 0.0)

    def name(self, part: int) -> str:
        """The channel's full name."""
        return f"{self.field}.{self.parts[part]}" if self.parts[part] else self.field

    def rows(self, episode: int) -> slice:
        """The rows of the `episode`-th of the E episodes."""
        return slice(self.starts[episode], self.starts[episode] + self.lengths[episode])

    def place(self, first: int, last: int) -> Place:
        """The place of rows `first` to `last`, which lie in one episode."""
        episode = self.owner[first]
        start = self.starts[episode]
        return Place(int(self.episodes[episode]), int(first - start), int(last - start))


def runs(mask: np.ndarray, starts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first and last row of each stretch where `mask` (N,) holds, broken where an episode begins."""
    before = np.concatenate([[False], mask[:-1]])
    before[starts] = False
    after = np.append(mask[1:], False)
    after[starts[1:] - 1] = False
    yield from zip(
        np.flatnonzero(mask & ~before).tolist(), np.flatnonzero(mask & ~after).tolist(), strict=True
    )
