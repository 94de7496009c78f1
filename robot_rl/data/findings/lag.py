"""Whether actions lag or lead the states: at which shift actions and changes of the state agree best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.data.findings.types import Finding, Signal

SHIFTS_SECONDS = 0.5  # shifts looked at, either way
AGREE = 0.6  # least correlation at the best shift
CLEARER = 0.1  # by how much the best shift must beat the expected ones
SAME = 0.7  # share of episodes whose own best shift lies on the same side
LATE_SECONDS = 0.1  # from here on a late answer is worth a note
EPISODES = 40  # looked at, spread over the dataset
_LEAST = 20  # steps of an episode, for a correlation


@dataclass(frozen=True)
class Match:
    """An action channel and the part of the state that it agrees with best."""

    action: int
    state: int
    targets: bool  # True: the action is where to go (its changes agree); False: how to move
    shift: int  # steps by which the state's change comes after the action; negative: before it
    agreement: float  # correlation at that shift, pooled over episodes
    expected: float  # the best correlation at a shift of 0 or 1
    same: float  # share of episodes whose own best shift is within a step of it
    at_edge: bool  # the best shift is the last one looked at: no peak
    mutual: bool  # no other action channel agrees better with that part of the state
    rival: float  # the best correlation beyond the peak's flanks: as high as the peak where motion repeats


def lag(state: Signal, action: Signal, fps: float) -> list[Finding]:
    """Actions that come after the changes they should cause, or states that answer late."""
    leads, lates = [], []
    for match in matches(state, action, fps):
        if not _speaks(match):
            continue
        seconds = match.shift / fps
        if match.shift < 0 and match.agreement - match.expected >= CLEARER:
            leads.append((match, seconds))
        elif match.shift >= 2 and seconds >= LATE_SECONDS and match.agreement - match.expected >= CLEARER:
            lates.append((match, seconds))
    return [*_told(state, action, leads, True), *_told(state, action, lates, False)]


def _speaks(match: Match) -> bool:
    """Whether the best shift is a clear peak, alike in most episodes, and no other pair explains it."""
    clear = match.agreement >= AGREE and match.agreement - match.rival >= CLEARER and not match.at_edge
    return clear and match.mutual and match.same >= SAME


def _told(state: Signal, action: Signal, found: list[tuple[Match, float]], leads: bool) -> list[Finding]:
    """One finding a channel, or one on the whole field where at least three channels agree on it."""
    if len(found) >= 3:
        shifts = [match.shift for match, _ in found]
        middle = int(np.median(shifts))
        seconds = abs(middle * found[0][1] / found[0][0].shift)
        best = np.mean([match.agreement for match, _ in found])
        what = f"each of {len(found)} channels {_words(abs(middle), seconds, leads)} (correlation {best:.2f})"
        return [_finding(action, action.field, what, leads)]
    return [
        _finding(
            action,
            action.name(match.action),
            f"{_words(abs(match.shift), abs(seconds), leads, state.name(match.state))} "
            f"(correlation {match.agreement:.2f}, {match.expected:.2f} where it should be)",
            leads,
        )
        for match, seconds in found
    ]


def _words(steps: int, seconds: float, leads: bool, state: str = "the state") -> str:
    told = f"{steps} step{'s' if steps > 1 else ''} ({1000 * seconds:.0f} ms)"
    return f"comes {told} after {state}" if leads else f"is answered by {state} {told} later"


def _finding(action: Signal, channel: str, what: str, leads: bool) -> Finding:
    remedy = (
        "the action belongs to the step before its effect: the columns were shifted against each other, or "
        "actions were computed from states; record or import them again with the action sent at that step"
        if leads
        else "a slow controller answers so; if it is not slow, states or actions were stamped late: compare "
        "the clocks of both topics before training"
    )
    ends = action.starts + action.lengths - 1
    places = tuple(action.place(*run) for run in zip(action.starts, ends, strict=True))
    return Finding("lag", "warning" if leads else "note", channel, what, remedy, places)


def matches(state: Signal, action: Signal, fps: float) -> list[Match]:
    """The best match of each action channel that moves, over shifts of up to half a second either way.

    Looked for are targets (changes of the action against changes of the state) and motions (the action
    itself against changes of the state). A part of the state with the action's own name goes first.
    """
    chosen = _spread(np.flatnonzero(state.lengths >= _LEAST), EPISODES)
    if not len(chosen):
        return []
    most = max(2, min(int(SHIFTS_SECONDS * fps), int(state.lengths[chosen].min()) // 4))
    shifts = np.arange(-most, most + 1)
    each = {
        targets: np.stack([_products(state, action, i, shifts, targets) for i in chosen])
        for targets in (True, False)
    }  # (episodes, shifts, A, S), correlation of each episode
    pooled = {targets: np.abs(tables.mean(0)) for targets, tables in each.items()}
    strongest = np.maximum(pooled[True], pooled[False]).max((0, 1))  # (S,)
    found = []
    for a in range(action.values.shape[1]):
        best = _best(each, a, _named_alike(state, action, a), shifts, strongest)
        if best is not None:
            found.append(best)
    return found


def _spread(indices: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the indices, evenly over all of them."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]


def _named_alike(state: Signal, action: Signal, a: int) -> list[int]:
    alike = [k for k, name in enumerate(state.parts) if name == action.parts[a]]
    return alike or list(range(len(state.parts)))


def _products(state: Signal, action: Signal, i: int, shifts: np.ndarray, targets: bool) -> np.ndarray:
    """(shifts, A, S) correlations of one episode's actions (or their changes) with the state's changes."""
    rows = state.rows(i)
    after = np.diff(state.values[rows].astype(np.float64), axis=0)
    given = action.values[rows].astype(np.float64)
    given = np.diff(given, axis=0) if targets else given[:-1]
    out = np.empty((len(shifts), given.shape[1], after.shape[1]))
    for row, shift in enumerate(shifts):
        first = given[max(0, -shift) : len(given) - max(0, shift)]
        second = after[max(0, shift) : len(after) - max(0, -shift)]
        out[row] = _scaled(first).T @ _scaled(second)
    return np.nan_to_num(out)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Columns without their mean, of length one; columns that do not move or are not finite become zero."""
    values = np.where(np.isfinite(values).all(0), values, 0.0)
    values = values - values.mean(0)
    norm = np.sqrt((values**2).sum(0))
    return np.divide(values, norm, out=np.zeros_like(values), where=norm > 1e-9)


def _best(
    each: dict[bool, np.ndarray], a: int, parts: list[int], shifts: np.ndarray, strongest: np.ndarray
) -> Match | None:
    best: Match | None = None
    for targets, tables in each.items():
        table = tables[:, :, a][:, :, parts]  # (episodes, shifts, parts)
        pooled = np.abs(table.mean(0))
        row, k = np.unravel_index(int(pooled.argmax()), pooled.shape)
        if best is not None and pooled[row, k] <= best.agreement:
            continue
        own = shifts[np.abs(table[:, :, k]).argmax(1)]
        near = (shifts == 0) | (shifts == 1)
        best = Match(
            a,
            parts[int(k)],
            targets,
            int(shifts[row]),
            float(pooled[row, k]),
            float(pooled[near, k].max()),
            float((np.abs(own - shifts[row]) <= 1).mean()),
            bool(row in (0, len(shifts) - 1)),
            bool(pooled[row, k] >= strongest[parts[int(k)]]),
            _rival(pooled[:, k], int(row)),
        )
    return best


def _rival(pooled: np.ndarray, peak: int) -> float:
    """The largest correlation (shifts,) beyond where it first falls below half of that at `peak`."""
    low = np.flatnonzero(pooled < pooled[peak] / 2)
    before, after = low[low < peak], low[low > peak]
    beyond = np.ones(len(pooled), bool)
    beyond[(before[-1] if len(before) else 0) : (after[0] if len(after) else len(pooled) - 1) + 1] = False
    return float(pooled[beyond].max(initial=0.0))
