"""The steps of a bag in which a guard says what it executed, and where its episodes begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rl.data.importers.bag_file import BagFile
from robot_rl.errors import BadInput

MOVING, INTERVENTION, STOPPED = ("running", "intervention"), "intervention", "stopped"  # a guard's modes
REMEDY = "is it another robot's?"
_LATE = 0.15  # s beyond which a guard that stopped does not go on in the same episode


@dataclass(frozen=True)
class Steps:
    """The steps of one episode of a bag, T of them."""

    times: np.ndarray  # (T,) int64 ns, at which numbers are looked up
    seen: np.ndarray  # (T,) int64 ns, at which pictures are looked up
    actions: np.ndarray  # (T, A) float32
    before: np.ndarray  # (T, A) float32 the action executed before each; zeros where there was none
    person: np.ndarray  # (T,) float32: 1 where a person's command was executed

    def __len__(self) -> int:
        return len(self.times)

    def after(self, first: int) -> Steps:
        """The steps from the first at or after a time (ns) on."""
        keep = slice(int(np.searchsorted(self.times, first)), None)
        return Steps(
            self.times[keep], self.seen[keep], self.actions[keep], self.before[keep], self.person[keep]
        )


def read_executed(bag: BagFile, topic: str, names: Sequence[str], resume: float) -> list[Steps]:
    """The episodes of a bag: a stop that the guard itself ends within `resume` s lies within one.

    BadInput where the guard never moved the robot for two steps.
    """
    times, seen, modes, rows = [], [], [], []
    for _, published, message in bag.timed([topic]):
        try:
            told = {name: float(value) for name, value in zip(message.name, message.position, strict=True)}
            mode = str(message.header.frame_id)
        except (AttributeError, TypeError, ValueError) as error:
            raise BadInput(f"{bag.name}: '{topic}' is not what a guard says ({error}); {REMEDY}") from error
        if lacking := [name for name in names if name not in told]:
            raise BadInput(
                f"{bag.name}: '{topic}' names {list(told)}, not the action '{lacking[0]}'; {REMEDY}"
            )
        times.append(stamp_of(message) or published)
        seen.append(published)
        modes.append(mode)
        rows.append([told[name] for name in names])
    actions = np.asarray(rows, np.float32).reshape(-1, len(names))
    before = _before(actions, modes)
    person = np.array([mode == INTERVENTION for mode in modes], np.float32)
    arrays = [np.asarray(times, np.int64), np.asarray(seen, np.int64), actions, before, person]
    found = [Steps(*(array[chosen] for array in arrays)) for chosen in _episodes(arrays[0], modes, resume)]
    if not found:
        raise BadInput(
            f"{bag.name}: '{topic}' never has two commands while the guard was running; leave the bag out"
        )
    return found


def _before(actions: np.ndarray, modes: Sequence[str]) -> np.ndarray:
    """(N, A) the action of the last command before each with which the guard moved the robot; first zeros."""
    found, last = np.zeros_like(actions), np.zeros(actions.shape[1], np.float32)
    for row, mode in enumerate(modes):
        found[row] = last
        last = actions[row] if mode in MOVING else last
    return found


def _episodes(times: np.ndarray, modes: Sequence[str], resume: float) -> list[np.ndarray]:
    """Rows of each episode: where the guard moved, until it stops for good or falls silent."""
    found, last = [[]], None
    for row, mode in enumerate(modes):
        if mode in MOVING:
            if last is not None and (times[row] - times[last]) * 1e-9 > resume + _LATE:
                found.append([])
            found[-1].append(row)
            last = row
        elif mode != STOPPED:
            found.append([])
            last = None
    return [np.array(rows) for rows in found if len(rows) > 1]


def stamp_of(message: Any) -> int:
    """The time in a message's header in ns; 0 without one."""
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    try:
        time = int(stamp.sec) * 10**9 + int(stamp.nanosec)
    except (AttributeError, TypeError, ValueError, OverflowError):
        return 0
    return time if 0 < time < 2**62 else 0
