"""Checks of time stamps and step numbers: going back, gaps, dropped steps, another rate, uneven steps."""

from __future__ import annotations

import numpy as np

from robot_rl.data.findings.types import Finding, Place, Signal

GAP = 1.5  # steps: more between two stamps is a gap
OFF = 0.05  # by how much the usual step may differ from 1 / fps
UNEVEN, UNEVEN_SHARE = 0.25, 0.05  # of a step; share of steps


def time_stamps(times: Signal, fps: float) -> list[Finding]:
    """Stamps (N, 1) in seconds that go back or stand, leap over steps, or do not keep to the rate."""
    steps = np.diff(times.values[:, 0].astype(np.float64), prepend=0.0) * fps  # in steps of 1 / fps
    inner = np.ones(len(steps), bool)
    inner[times.starts] = False
    inner &= np.isfinite(steps)
    if not inner.any():
        return []
    back = inner & (steps <= 0)
    low, high = np.quantile(steps[inner], [0.1, 0.9])
    usual = float(steps[inner & (steps >= low) & (steps <= high)].mean())
    found = [_back(times, back)] if back.any() else []
    if abs(usual - 1) > OFF:
        what = (
            f"steps are usually {1000 * usual / fps:.4g} ms apart, but {fps:g} Hz means {1000 / fps:.4g} ms"
        )
        remedy = "correct fps in meta/info.json, or import again with the true rate"
        ends = times.starts + times.lengths - 1
        places = tuple(times.place(*run) for run in zip(times.starts, ends, strict=True))
        return [*found, Finding("rate", "warning", times.name(0), what, remedy, places)]
    gap = inner & (steps > GAP)
    if gap.any():
        found.append(_gaps(times, gap, steps, fps))
    uneven = inner & (np.abs(steps - 1) > UNEVEN) & ~gap & ~back
    if uneven.sum() > UNEVEN_SHARE * inner.sum():
        found.append(_uneven(times, uneven, steps, inner, fps))
    return found


def _places(signal: Signal, rows: np.ndarray) -> tuple[Place, ...]:
    """The steps from before to after each of `rows`."""
    return tuple(signal.place(row - 1, row) for row in np.flatnonzero(rows))


def _back(times: Signal, back: np.ndarray) -> Finding:
    what = f"time stands still or goes back at {int(back.sum())} steps"
    remedy = "two recordings in one episode, or a clock that was set: cut there (robot-rl edit ... crop)"
    return Finding("time", "error", times.name(0), what, remedy, _places(times, back))


def _gaps(times: Signal, gap: np.ndarray, steps: np.ndarray, fps: float) -> Finding:
    missing, longest = int(np.round(steps[gap] - 1).sum()), steps[gap].max() / fps
    what = f"{int(gap.sum())} gaps, about {missing} steps missing, the longest {longest:.3g} s"
    remedy = "states before and after a gap are taught as neighbours: cut there (crop) or leave them out"
    return Finding("gap", "warning", times.name(0), what, remedy, _places(times, gap))


def _uneven(times: Signal, uneven: np.ndarray, steps: np.ndarray, inner: np.ndarray, fps: float) -> Finding:
    spread = np.std(steps[inner]) * 1000 / fps
    share = uneven.sum() / inner.sum()
    what = f"{share:.0%} of the steps are more than a quarter off their length (spread {spread:.3g} ms)"
    remedy = "the recorder had no fixed rate: resample from the raw log, with its own time stamps"
    return Finding("uneven", "note", times.name(0), what, remedy, _places(times, uneven))


def dropped(frame_index: Signal) -> list[Finding]:
    """Step numbers (N, 1) that do not count 0, 1, 2, ... in each episode."""
    number = frame_index.values[:, 0]
    leap = np.diff(number, prepend=number[:1] - 1) != 1
    leap[frame_index.starts] = number[frame_index.starts] != 0
    if not leap.any():
        return []
    places = tuple(
        frame_index.place(max(row - 1, frame_index.starts[frame_index.owner[row]]), row)
        for row in np.flatnonzero(leap)
    )
    what = f"step numbers leap at {int(leap.sum())} steps: the steps between were dropped"
    remedy = "states around a leap are taught as neighbours: cut there (robot-rl edit ... crop)"
    return [Finding("dropped", "warning", "frame_index", what, remedy, places)]
