"""Checks of numbers alone: not finite, never changing, stuck, clipped, still and duplicated episodes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from robot_rl.data.findings.types import Finding, Place, Signal, runs

STUCK_SECONDS, STUCK_STEPS = 0.5, 10  # a stuck stretch is at least as long as both
LIVELY = 0.9  # share of steps at which a channel changes, beyond its longest rest, to be called lively
LEAP = 4  # usual steps: from where it was stuck to where it goes on
RARE = 0.25  # share of episodes up to which a rest of a lively channel is a fault and not its habit
CLIPPED_SHARE, CLIPPED_STEPS, CLIPPED_RUNS = 0.01, 3, 3
STILL = 0.02  # of a channel's range over the dataset


def not_finite(signal: Signal) -> list[Finding]:
    """Values that are NaN or infinite, a finding a channel, a place a stretch."""
    bad = ~np.isfinite(signal.values)
    return [
        Finding(
            "nan",
            "error",
            signal.name(k),
            f"{int(bad[:, k].sum())} values are NaN or infinite",
            "learners refuse them: leave the episodes out (robot-rl edit ... filter --without nan) or "
            "record them again",
            tuple(signal.place(*run) for run in runs(bad[:, k], signal.starts)),
        )
        for k in np.flatnonzero(bad.any(0))
    ]


def constant(signal: Signal) -> list[Finding]:
    """Channels that hold one value in every step of every episode; several make one finding."""
    same = [k for k in range(signal.values.shape[1]) if (signal.values[:, k] == signal.values[0, k]).all()]
    if not same or len(signal.values) < 2:
        return []
    value = signal.values[0, same[0]]
    named = ", ".join(signal.parts[k] for k in same[:6]) + (f", … ({len(same)})" if len(same) > 6 else "")
    what = (
        f"is {value:.4g} at every step" if len(same) == 1 else f"{len(same)} channels never change: {named}"
    )
    channel = signal.name(same[0]) if len(same) == 1 else signal.field
    remedy = (
        "it teaches nothing: label the dataset (robot-rl label), or check the source"
        if signal.field in ("reward", "success")
        else "expected of what does not move in this task; otherwise the source did not record it"
    )
    return [Finding("constant", "note", channel, what, remedy, _whole(signal))]


def _whole(signal: Signal) -> tuple[Place, ...]:
    """All episodes from end to end."""
    ends = signal.starts + signal.lengths - 1
    return tuple(signal.place(first, last) for first, last in zip(signal.starts, ends, strict=True))


def stuck(signal: Signal, other: Signal, fps: float) -> list[Finding]:
    """Channels that change at nearly every step, but hold one value for long and then leap, in few episodes.

    What comes to rest and moves on from there is no finding: after a stretch the value must leap by several
    usual steps, or the stretch must last to the episode's end while other channels move. What often rests (an
    object before it is touched, a gripper) is none either: a channel must change at 90 % of the steps outside
    the longest rest in the median episode, and rest in at most a quarter of the episodes. Where all channels
    of the field stop at once, it is one finding, and `other` (actions for states) tells whether to move.
    """
    least = max(STUCK_STEPS, int(np.ceil(STUCK_SECONDS * fps)))
    lively = [k for k in range(signal.values.shape[1]) if _is_lively(signal, k)]
    rests = {k: found for k in lively if (found := _rests(signal, k, least))}
    shared = []
    if len(rests) > 1 and len(rests) == len(lively):
        shared = [run for run in next(iter(rests.values())) if all(run in found for found in rests.values())]
    stops = [
        run for run in shared if any(_leaps(signal, k, run) for k in lively) or _idle(signal, other, run)
    ]
    whole = [_stuck(signal, signal.field, stops, "all channels hold their values")] if stops else []
    single = []
    for k, found in rests.items():
        bad = [r for r in found if r not in shared and (_leaps(signal, k, r) or _idle(signal, signal, r))]
        single += [_stuck(signal, signal.name(k), bad, "holds one value")] if bad else []
    return [*whole, *single]


def _leaps(signal: Signal, k: int, run: tuple[int, int]) -> bool:
    """Whether the channel goes on far from where it rested."""
    after = run[1] + 1
    if after >= len(signal.values) or signal.owner[after] != signal.owner[run[0]]:
        return False
    steps = np.abs(np.diff(signal.values[signal.rows(signal.owner[after]), k]))
    usual = np.median(steps[steps > 0])
    return bool(abs(signal.values[after, k] - signal.values[run[1], k]) > LEAP * usual)


def _idle(signal: Signal, other: Signal, run: tuple[int, int]) -> bool:
    """Whether a rest lasts to the end of its episode while channels of `other` move; commands may rest."""
    episode = signal.owner[run[0]]
    if signal.field == "action" or run[1] + 1 != signal.rows(episode).stop:
        return False
    moved = np.ptp(other.values[run[0] : run[1] + 1], axis=0)
    return bool((moved > 0.2 * np.maximum(other.ranges.max(0), 1e-9)).any())


def _stuck(signal: Signal, channel: str, rests: Sequence[tuple[int, int]], what: str) -> Finding:
    longest = max(last - first + 1 for first, last in rests)
    return Finding(
        "stuck",
        "warning",
        channel,
        f"{what} for up to {longest} steps, while elsewhere it changes at nearly every step",
        "look at the sensor and its message; leave the episodes out (filter --without stuck) or cut (crop)",
        tuple(signal.place(*run) for run in rests),
    )


def _rests(signal: Signal, k: int, least: int) -> list[tuple[int, int]]:
    """Stretches of at least `least` equal values in few episodes, while the episode moves elsewhere."""
    same = ~signal.changes[:, k]
    same[signal.starts] = False
    found = [(first - 1, last) for first, last in runs(same, signal.starts) if last - first + 2 >= least]
    resting = {int(signal.owner[first]) for first, _ in found}
    # A channel that rests all through an episode shows nothing: that may be the task. One that rests at an
    # end of its range is at a limit.
    ends = (np.nanmin(signal.values[:, k]), np.nanmax(signal.values[:, k]))
    found = [
        run
        for run in found
        if signal.ranges[signal.owner[run[0]], k] > 0 and signal.values[run[0], k] not in ends
    ]
    return found if len(resting) <= max(1, RARE * len(signal.starts)) else []


def _is_lively(signal: Signal, k: int) -> bool:
    shares = []
    for episode in range(len(signal.starts)):
        moved = signal.changes[signal.rows(episode), k][1:]
        edges = np.flatnonzero(np.concatenate([[True], moved, [True]]))
        longest = int(np.diff(edges).max()) - 1  # steps without a change in a row
        rest = len(moved) - longest
        shares.append(moved.sum() / rest if rest > STUCK_STEPS else 0.0)
    return float(np.median(shares)) >= LIVELY


def clipped(signal: Signal) -> list[Finding]:
    """Continuous channels that run into their smallest or largest value and stay exactly there.

    A stretch counts where the value came in at the channel's usual speed or faster, as what is cut off does;
    what comes to rest slows down first. Binary and coarse channels are left out.
    """
    found: list[tuple[str, int, list[tuple[int, int]]]] = []
    for k in range(signal.values.shape[1]):
        values = signal.values[:, k]
        finite = values[np.isfinite(values)]
        if len(finite) < 20 or len(np.unique(finite[:: max(1, len(finite) // 5000)])) < 20:
            continue
        for end in (finite.min(), finite.max()):
            stretches = _cut_off(signal, k, values == end)
            share = sum(last - first + 1 for first, last in stretches) / len(finite)
            if len(stretches) >= CLIPPED_RUNS and share >= CLIPPED_SHARE:
                found.append((f"{signal.parts[k]} at {end:.4g} ({share:.1%} of the steps)", k, stretches))
    return _clipped(signal, found)


def _cut_off(signal: Signal, k: int, at_end: np.ndarray) -> list[tuple[int, int]]:
    step = np.abs(np.diff(signal.values[:, k], prepend=signal.values[0, k]))
    step[signal.starts] = 0
    moving = step[step > 0]
    usual = float(np.median(moving)) if len(moving) else 0.0
    return [
        (first, last)
        for first, last in runs(at_end, signal.starts)
        if last - first + 1 >= CLIPPED_STEPS
        and first not in signal.starts[signal.owner[first]] + np.arange(2)
        and step[first] >= 0.2 * usual
        and step[first - 1] >= usual
    ]


def _clipped(signal: Signal, found: Sequence[tuple[str, int, list[tuple[int, int]]]]) -> list[Finding]:
    """One finding for all channels of a field."""
    if not found:
        return []
    told = ", ".join(text for text, _, _ in found[:6]) + (", …" if len(found) > 6 else "")
    remedy = (
        "commands beyond the limit were cut: nothing to do if it is the actuator's own range"
        if signal.field == "action"
        else "the sensor or its message saturates: widen its range, or do not rely on the channel there"
    )
    channels = {k for _, k, _ in found}
    channel = signal.name(found[0][1]) if len(channels) == 1 else signal.field
    places = [signal.place(*run) for _, _, stretches in found for run in stretches]
    places.sort(key=lambda place: (place.episode, place.first))
    level = "note" if signal.field == "action" else "warning"
    return [Finding("clipped", level, channel, f"runs into a limit and stays: {told}", remedy, tuple(places))]


def still(state: Signal) -> list[Finding]:
    """Episodes in which no part of the state moves by 2 % of its range over the dataset."""
    finite = np.where(np.isfinite(state.values), state.values, np.nan)
    if np.isnan(finite).all():
        return []
    with np.errstate(invalid="ignore"):
        whole = np.nan_to_num(np.nanmax(finite, 0) - np.nanmin(finite, 0))
    share = np.divide(state.ranges, whole, out=np.zeros_like(state.ranges), where=whole > 0)
    stills = np.flatnonzero(share.max(1) < STILL)
    if not len(stills):
        return []
    what = f"{len(stills)} of {len(state.starts)} episodes never move (less than {STILL:.0%} of the usual)"
    remedy = "the robot was not enabled or the recording began late: leave them out (filter --without still)"
    places = [_whole(state)[i] for i in stills]
    return [Finding("still", "warning", "", what, remedy, tuple(places))]


def duplicated(signals: Sequence[Signal]) -> list[Finding]:
    """Episodes whose numbers are all the same, bit for bit, as those of an episode before."""
    first: dict[bytes, int] = {}
    places, pairs = [], []
    for i, episode in enumerate(signals[0].episodes.tolist()):
        digest = hashlib.sha256()
        for signal in signals:
            digest.update(np.ascontiguousarray(signal.values[signal.rows(i)]).tobytes())
        original = first.setdefault(digest.digest(), episode)
        if original != episode:
            places.append(Place(episode, 0, int(signals[0].lengths[i]) - 1))
            pairs.append(f"{episode} = {original}")
    if not places:
        return []
    told = ", ".join(pairs[:6]) + (", …" if len(pairs) > 6 else "")
    remedy = "counted twice in training and in a split: leave the copies out (filter --without duplicate)"
    return [
        Finding("duplicate", "warning", "", f"same numbers in two episodes: {told}", remedy, tuple(places))
    ]
