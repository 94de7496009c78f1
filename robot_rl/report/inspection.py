"""The page on a dataset: findings, episodes, rates, histograms, origin; its sections serve other pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from robot_rl import __version__
from robot_rl.data.findings import Finding, Inspection, counted
from robot_rl.data.info import DatasetInfo
from robot_rl.data.store import Dataset
from robot_rl.report.dataset_figures import channel_histograms, episode_overview, step_times
from robot_rl.report.episodes import CHANNELS, camera_of, choose, drawings, findings_of
from robot_rl.report.page import (
    Block,
    Callout,
    Code,
    Details,
    Figure,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    write_page,
)

DRAWN = 12  # episodes that are drawn where none are chosen
_HISTOGRAMS = 40  # channels of a field
_LISTED = 500  # episodes in the table


def write_inspection(
    path: Path,
    dataset: Dataset,
    inspection: Inspection,
    episodes: Sequence[int] | None = None,
    camera: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the page: `episodes` (default some) are drawn with pictures of `camera` (default the first)."""
    drawn = choose(dataset, inspection, DRAWN) if episodes is None else list(episodes)
    sections = [
        overview_section(dataset, inspection),
        findings_section(dataset, inspection),
        episodes_section(dataset, inspection, drawn, camera_of(dataset, camera), progress),
        rates_section(dataset, inspection),
        histogram_section(inspection),
        *origin_section(dataset),
    ]
    subtitle = "; ".join(dataset.info.tasks[:3]) + ("; …" if len(dataset.info.tasks) > 3 else "")
    return write_page(path, dataset.root.resolve().name, subtitle, sections, f"robot_rl {__version__}")


def overview_section(dataset: Dataset, inspection: Inspection) -> Section:
    """The dataset in numbers."""
    info = dataset.info
    counts = counted(inspection.findings)
    items = [
        KeyFigure(f"{len(dataset):,}", "episodes", f"{int(dataset.terminated.sum())} terminated"),
        KeyFigure(f"{info.total_frames:,}", "steps", f"{info.total_frames / info.fps:,.0f} s"),
        KeyFigure(f"{info.fps:g} Hz", "rate", f"{1000 / info.fps:.4g} ms a step"),
        *_success(dataset),
        KeyFigure(str(len(inspection.findings)), "findings", counts),
    ]
    labels = [name for name in info.labels if name not in info.clocks]
    facts = [
        ["robot", info.robot_type],
        ["state", _size(info, "state", info.state_names)],
        ["action", _size(info, "action", info.action_names)],
        *(["camera", f"{name}, {h}x{w} pixels"] for name, (h, w) in info.cameras.items()),
        *(["further", f"{name}, {len(parts)} parts"] for name, parts in info.vectors.items()),
        *([["labels", ", ".join(labels)]] if labels else []),
        *([["clocks", ", ".join(info.clocks)]] if info.clocks else []),
    ]
    return Section("", KeyFigures(items), Table(["Part", "What it is"], facts, align="ll"))


def _size(info: DatasetInfo, field: str, names: Sequence[str]) -> str:
    if field in info.placeholders:
        return "not in the source; a zero stands in"
    return f"{len(names)} part{'s' if len(names) > 1 else ''}"


def _success(dataset: Dataset) -> list[KeyFigure]:
    reached = success_of(dataset)
    if reached is None:
        return []
    return [KeyFigure(f"{100 * reached.mean():.0f} %", "succeed", f"{int(reached.sum())} episodes")]


def success_of(dataset: Dataset) -> np.ndarray | None:
    """(E,) bool whether the success flag is up at any step."""
    if not dataset.info.has_success:
        return None
    return np.logical_or.reduceat(dataset.column("next.success"), dataset.starts)


def returns_of(dataset: Dataset) -> np.ndarray | None:
    """(E,) float64 undiscounted returns; what is not finite counts as nothing."""
    if not dataset.info.has_rewards:
        return None
    rewards = np.nan_to_num(dataset.column("next.reward", finite=False).astype(np.float64))
    return np.add.reduceat(rewards, dataset.starts)


def findings_section(dataset: Dataset, inspection: Inspection) -> Section:
    """Every finding with its place and what to do."""
    total, looked = len(dataset), len(inspection.pictured)
    blocks: list[Block] = []
    if dataset.info.cameras:
        blocks.append(
            Text(f"Looked at: the numbers of all {total} episodes, and pictures of {looked} of them.")
        )
    for one in inspection.findings:
        lines = [told_of(one), f"Where: {one.where(total)}.", f"What to do: {one.remedy}."]
        title = f"{one.level.capitalize()}: {one.kind}"
        blocks.append(Callout("info" if one.level == "note" else "warn", "\n".join(lines), title))
    if not inspection.findings:
        blocks.append(Callout("info", "Nothing was found."))
    return Section("Findings", *blocks)


def told_of(finding: Finding) -> str:
    """A finding in one sentence, with its channel."""
    return (f"{finding.channel}: " if finding.channel else "") + f"{finding.what}."


def episodes_section(
    dataset: Dataset,
    inspection: Inspection,
    drawn: Sequence[int],
    camera: str | None,
    progress: Callable[[int, int], None] | None = None,
) -> Section:
    """All episodes in one plot and one table, some of them drawn."""
    returns, success = returns_of(dataset), success_of(dataset)
    total = len(dataset)
    told = f"{len(drawn)} of {total} episodes are drawn below"
    if len(drawn) < total:
        told += "; robot-rl inspect --episodes draws others, e.g. --episodes 3,7,20-29 or all"
    told += ". Green is success, red are the steps of errors and warnings."
    parts = [f"{n} of {size}" for n, size in _shown(inspection) if n < size]
    if parts:
        told += f" Of state and action the channels that move most are drawn ({', '.join(parts)})."
    headers = ["Episode", "Steps", "Seconds", "Return", "Success", "Task", "Findings"]
    rows = [_row(dataset, inspection, i, returns, success) for i in range(min(total, _LISTED))]
    more = f"; the first {_LISTED} of {total}" if total > _LISTED else ""
    listed = Details(f"All episodes as a table{more}", [Table(headers, rows, align="rrrrlll")])
    overview = Figure(episode_overview(dataset.lengths, returns, success), "All episodes, in their order.")
    return Section(
        "Episodes", overview, listed, Text(told), *drawings(dataset, inspection, drawn, camera, progress)
    )


def _shown(inspection: Inspection) -> list[tuple[int, int]]:
    sizes = [len(inspection.signals[field].parts) for field in ("state", "action")]
    return [(min(size, CHANNELS), size) for size in sizes]


def _row(
    dataset: Dataset,
    inspection: Inspection,
    index: int,
    returns: np.ndarray | None,
    success: np.ndarray | None,
) -> list[str | None]:
    length = int(dataset.lengths[index])
    kinds = dict.fromkeys(f.kind for f in findings_of(inspection, index) if f.level != "note")
    return [
        str(index),
        str(length),
        f"{length / dataset.info.fps:.2f}",
        None if returns is None else f"{returns[index]:.4g}",
        None if success is None else ("yes" if success[index] else "no"),
        dataset.task(index),
        ", ".join(kinds) or None,
    ]


def rates_section(dataset: Dataset, inspection: Inspection) -> Section:
    """What the time stamps say beside the rate that the dataset gives."""
    fps = dataset.info.fps
    kinds = ("time", "gap", "rate", "uneven", "dropped")
    found = [f"{one.kind}: {one.what}" for one in inspection.findings if one.kind in kinds]
    if "timestamp" not in dataset.info.features:
        return Section("Rates and gaps", Text(f"{fps:g} Hz is given; the dataset has no time stamps."))
    stamps = dataset.column("timestamp", finite=False).astype(np.float64)
    steps = np.diff(stamps) * 1000
    steps = np.delete(steps, dataset.starts[1:] - 1)
    steps = steps[np.isfinite(steps)]
    if not len(steps) or np.abs(steps * fps / 1000 - 1).max() < 0.02:
        text = f"Every step takes {1000 / fps:.4g} ms to within 2 %, as {fps:g} Hz says; there are no gaps."
        return Section("Rates and gaps", Text(text), *([Text("\n\n".join(found))] if found else []))
    caption = f"Time stamps of all {len(steps):,} steps, counts on a logarithmic scale."
    image = Figure(step_times(steps, 1000 / fps), caption, half=True)
    return Section("Rates and gaps", image, Text("\n\n".join(found) or "No gap is longer than 1.5 steps."))


def histogram_section(inspection: Inspection) -> Section:
    """The distribution of every channel, the first ones where there are very many."""
    blocks: list[Block] = []
    for field, signal in inspection.signals.items():
        if field == "success" or signal.parts == ("",):
            continue
        count = min(len(signal.parts), _HISTOGRAMS)
        more = f", the first {count} of {len(signal.parts)}" if count < len(signal.parts) else ""
        image = channel_histograms(signal.values[:, :count], signal.parts[:count], signal.units[:count])
        blocks.append(
            Figure(image, f"Smallest and largest value below each{more}.", title=field.capitalize())
        )
    plain = {n: s for n, s in inspection.signals.items() if s.parts == ("",) and n != "success"}
    if plain:
        values = np.concatenate([s.values for s in plain.values()], 1)
        image = channel_histograms(values, list(plain), [""] * len(plain))
        blocks.append(Figure(image, "One number a step.", title="Rewards and labels"))
    return Section("Histograms", *blocks)


def origin_section(dataset: Dataset) -> list[Section]:
    """Where the dataset comes from, as it was written down."""
    found = {**dataset.info.metadata, **(dataset.info.provenance or {})}
    if not found:
        return []
    text = json.dumps(found, indent=2, ensure_ascii=False, default=str)
    lines = text.splitlines()
    if len(lines) > 200:
        text = "\n".join([*lines[:200], f"… {len(lines) - 200} lines more in meta/robot_rl.json"])
    return [Section("Origin", Details("Metadata and provenance", [Code(text)]))]
