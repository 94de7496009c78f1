"""Looks through a dataset for what its user should know before trusting it.

`inspect_dataset` reads the numbers of all episodes and some pictures of some, and returns `Finding`s; each
check is a pure function over `Signal`s in a file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.data.findings import lag, times, units, values
from robot_rl.data.findings.pictures import look, picture_findings
from robot_rl.data.findings.signals import read_signals
from robot_rl.data.findings.types import LEVELS, Finding, Place, Signal
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput

__all__ = [
    "KINDS",
    "LEVELS",
    "PICTURE_EPISODES",
    "Finding",
    "Inspection",
    "Place",
    "Signal",
    "counted",
    "find",
    "inspect_dataset",
]

KINDS = {
    "nan": "values that are NaN or infinite",
    "time": "time stamps that stand still or go back",
    "video": "videos or pictures that cannot be read",
    "gap": "time stamps that leap",
    "rate": "time stamps at another rate than the dataset's",
    "dropped": "step numbers that leap",
    "stuck": "lively channels that hold one value",
    "clipped": "channels that run into a limit and stay there",
    "lag": "actions that come after the state, or are answered late",
    "units": "magnitudes that do not go with the unit",
    "still": "episodes that never move",
    "duplicate": "episodes with the same numbers",
    "frozen": "cameras that show one picture while the robot moves",
    "dark": "cameras that are black or of one colour",
    "uneven": "steps of uneven length",
    "constant": "channels that never change",
}
PICTURE_EPISODES = 24  # episodes whose pictures are looked at, spread over the dataset


@dataclass(frozen=True)
class Inspection:
    """What was looked at, and what was found."""

    findings: tuple[Finding, ...]  # errors first
    signals: dict[str, Signal]  # by field
    pictured: tuple[int, ...]  # whose pictures were looked at


def inspect_dataset(dataset: Dataset, pictures: int | Sequence[int] = PICTURE_EPISODES) -> Inspection:
    """Check the numbers of all episodes, and the pictures of so many of them or of those with the numbers."""
    signals, stamps, numbers = read_signals(dataset)
    found = find(signals, dataset.info.fps, dataset.info.placeholders)
    for one in stamps:
        found += times.time_stamps(one, dataset.info.fps)
    if numbers is not None:
        found += times.dropped(numbers)
    pictured = _spread(len(dataset), pictures) if isinstance(pictures, int) else sorted(set(pictures))
    pictured = pictured if dataset.info.cameras else []
    found += _look(dataset, pictured, signals["state"])
    order = {kind: i for i, kind in enumerate(KINDS)}
    found.sort(key=lambda one: (LEVELS.index(one.level), order[one.kind]))
    return Inspection(tuple(found), signals, tuple(pictured))


def counted(findings: Sequence[Finding]) -> str:
    """How many findings there are of each level: "1 error, 2 warnings"."""
    counts = [(level, sum(one.level == level for one in findings)) for level in LEVELS]
    return ", ".join(f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts if n) or "none"


def find(signals: dict[str, Signal], fps: float, absent: Sequence[str] = ()) -> list[Finding]:
    """All checks of numbers alone, on fields by name; "state" and "action" (Hz) among them.

    `absent` are fields that the source did not have, in whose place are zeros.
    """
    found: list[Finding] = []
    for name, signal in signals.items():
        if name not in absent:
            found += values.not_finite(signal)
            found += values.constant(signal)
    for name, other in (("state", "action"), ("action", "state")):
        if name not in absent:
            found += values.stuck(signals[name], signals[other], fps)
            found += values.clipped(signals[name])
            found += units.wrong_units(signals[name])
    present = [signals[name] for name in ("state", "action") if name not in absent]
    if len(present) == 2:
        found += lag.lag(signals["state"], signals["action"], fps)
    if "state" not in absent:
        found += values.still(signals["state"])
    return found + (values.duplicated(present) if present else [])


def _spread(total: int, count: int) -> list[int]:
    if total <= count:
        return list(range(total))
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


def _look(dataset: Dataset, episodes: Sequence[int], state: Signal) -> list[Finding]:
    """Look at pictures; a video that cannot be read is a finding too, one a camera."""
    seen, broken = [], {}
    scale = np.nan_to_num(np.ptp(np.nan_to_num(state.values), 0))
    for episode in episodes:
        rows = state.rows(int(np.searchsorted(state.episodes, episode)))
        for camera in dataset.info.cameras:
            try:
                frames = dataset.camera(camera).episode(episode)
                seen += look(episode, camera, frames, state.values[rows], scale, dataset.info.fps)
            except BadInput as error:
                broken.setdefault(camera, []).append((Place(episode, 0, rows.stop - rows.start - 1), error))
    found = picture_findings(seen, len(episodes))
    for camera, places in broken.items():
        remedy = "fetch or record the video again, or leave the episodes out (filter --without video)"
        what = f"cannot be read in {len(places)} of {len(episodes)} episodes: {places[0][1]}"
        at = tuple(place for place, _ in places)
        found.append(Finding("video", "error", f"camera {camera}", what, remedy, at))
    return found
