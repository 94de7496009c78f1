"""Episodes of a dataset as timelines: which to draw, which channels, and the drawing with its caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_rl.data.findings import Finding, Inspection, Signal
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.report.page import Callout, Details, Figure
from robot_rl.report.timeline import Panel, Timeline, draw_timeline, frame_steps

FRAMES = 8  # of an episode
CHANNELS = 8  # lines of a panel; those that move most
_OPEN = 12  # so many drawings are shown at once; more are opened by a click


def choose(dataset: Dataset, inspection: Inspection, count: int) -> list[int]:
    """At most `count` episodes to draw: half of them for warnings about some episodes, others spread."""
    total = len(dataset)
    if total <= count:
        return list(range(total))
    marked: dict[int, None] = {}
    for finding in inspection.findings:
        if finding.level != "note" and len(finding.episodes) < total:
            marked |= dict.fromkeys(finding.episodes[:2])
    picked = list(marked)[: count // 2]
    spread = np.linspace(0, total - 1, count).round().astype(int).tolist()
    rest = [episode for episode in spread if episode not in picked]
    return sorted([*picked, *rest[: count - len(picked)]])


def moving_most(signal: Signal, count: int) -> list[int]:
    """The channels with the largest changes from step to step, in units of their own range, in order."""
    if len(signal.parts) <= count:
        return list(range(len(signal.parts)))
    values = np.where(np.isfinite(signal.values), signal.values, 0)
    whole = np.ptp(values, 0)
    mean = signal.ranges.mean(0)
    share = np.divide(mean, whole, out=np.zeros(len(whole)), where=whole > 0)
    # A channel's range counts too: noise of a thousandth fills its own range as well.
    weight = share * np.sqrt(whole / max(float(whole.max()), 1e-12))
    return sorted(np.argsort(-weight, kind="stable")[:count].tolist())


def channels_of(inspection: Inspection) -> dict[str, list[int]]:
    """The channels of state and of action to draw."""
    return {field: moving_most(inspection.signals[field], CHANNELS) for field in ("state", "action")}


def scale_name(field: str, units: Sequence[str]) -> str:
    """A scale's name with the unit of its lines: "state [m, rad]", or that none is given."""
    known = list(dict.fromkeys(unit for unit in units if unit))
    return f"{field} [{', '.join(known)}]" if known else f"{field} [unit?]"


def panels_of(episode_rows: slice, signals: dict[str, Signal], chosen: dict[str, list[int]]) -> list[Panel]:
    """State, action, and reward or labels of one episode."""
    panels = []
    for field in ("state", "action"):
        signal, parts = signals[field], chosen[field]
        lines = {signal.parts[k]: signal.values[episode_rows, k] for k in parts}
        panels.append(Panel(scale_name(field, [signal.units[k] for k in parts]), lines))
    numbers = {
        name: signals[name].values[episode_rows, 0] for name in signals if signals[name].parts == ("",)
    }
    mean, std = numbers.pop("reward.mean", None), numbers.pop("reward.std", None)
    numbers.pop("success", None)
    if mean is not None:
        true = numbers.pop("source.reward", None)
        right = None if true is None else ("true reward", true)
        numbers = {n: v for n, v in numbers.items() if not (n == "reward" and np.allclose(v, mean))}
        panels.append(Panel("learned reward", {"": mean}, 110, std, right))
    panels += [Panel(name, {"": values}, 80) for name, values in list(numbers.items())[:4]]
    return panels


def episode_timeline(
    dataset: Dataset,
    index: int,
    inspection: Inspection,
    camera: str | None,
    chosen: dict[str, list[int]] | None = None,
) -> str:
    """The drawing of one episode: `chosen` channels of state and action, the steps of findings shaded."""
    signals = inspection.signals
    chosen = channels_of(inspection) if chosen is None else chosen
    position = int(np.searchsorted(signals["state"].episodes, index))
    rows = signals["state"].rows(position)
    length, fps = int(dataset.lengths[index]), dataset.info.fps
    frames, times = None, np.zeros(0)
    if camera is not None:
        steps = frame_steps(length, FRAMES)
        frames, times = dataset.camera(camera).episode(index)[steps], steps / fps
    success = signals["success"].values[rows, 0].astype(bool) if "success" in signals else None
    marks = [
        (place.first, place.last)
        for finding in findings_of(inspection, index)
        if finding.level != "note" and finding.kind not in ("duplicate", "still")
        for place in finding.places
        if place.episode == index
    ]
    panels = panels_of(rows, signals, chosen)
    timeline = Timeline(panels, fps, frames, times, success, marks)
    return draw_timeline(timeline, f"Episode {index} over {length / fps:.3g} s")


def findings_of(inspection: Inspection, index: int) -> list[Finding]:
    """The findings that concern an episode."""
    return [finding for finding in inspection.findings if index in finding.episodes]


def told(dataset: Dataset, index: int, inspection: Inspection) -> str:
    """One line on an episode: length, return, success, task, and what was found in it."""
    signals = inspection.signals
    rows = signals["state"].rows(int(np.searchsorted(signals["state"].episodes, index)))
    length = int(dataset.lengths[index])
    words = [f"Episode {index}", f"{length} steps, {length / dataset.info.fps:.3g} s"]
    if "reward" in signals:
        words.append(f"return {np.nansum(signals['reward'].values[rows], dtype=float):.4g}")
    if "success" in signals:
        words.append("succeeds" if signals["success"].values[rows].any() else "no success")
    if len(dataset.info.tasks) > 1:
        words.append(f"“{dataset.task(index)}”")
    kinds = [f"{f.kind} {f.channel}".strip() for f in findings_of(inspection, index) if f.level != "note"]
    return " · ".join([*words, *([", ".join(kinds[:4])] if kinds else [])])


def drawings(
    dataset: Dataset,
    inspection: Inspection,
    episodes: Sequence[int],
    camera: str | None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Details | Callout]:
    """A part to open for each episode; a video that cannot be read is said instead of its pictures.

    `progress(done, total)` is called after each drawing.
    """
    found: list[Details | Callout] = []
    chosen = channels_of(inspection)
    for done, index in enumerate(episodes, 1):
        line, notes = told(dataset, index, inspection), []
        try:
            image = episode_timeline(dataset, index, inspection, camera, chosen)
        except BadInput as error:
            notes.append(Callout("warn", f"No pictures: {error}"))
            image = episode_timeline(dataset, index, inspection, None, chosen)
        found.append(Details(line, [*notes, Figure(image, "")], open=len(episodes) <= _OPEN))
        if progress:
            progress(done, len(episodes))
    return found


def camera_of(dataset: Dataset, wanted: str | None) -> str | None:
    """The camera to show: the wanted one, else the first, None where there is none. Raises BadInput."""
    if wanted is not None:
        dataset.camera(wanted)
        return wanted
    return next(iter(dataset.info.cameras), None)
