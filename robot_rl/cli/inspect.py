"""`robot-rl inspect`: what a dataset holds and what is wrong with it, as text, as a page, or for Rerun."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_rl.cli.common import progress_so_far, table
from robot_rl.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from robot_rl.data.findings import Inspection, Signal
    from robot_rl.data.store import Dataset

INTERRUPTED = "inspect only reads the dataset, so nothing changed"
_EPISODES = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Config:
    """Print what a dataset holds and what was found wrong with it; write a page that opens offline."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset; it is only read."""
    html: tuple[Path, ...] | None = None
    """Write a page, self-contained in one file; default beside the dataset, DATASET.inspect.html."""
    rerun: tuple[Path, ...] | None = None
    """Write a file an episode for the Rerun viewer into this folder; default DATASET.rerun/."""
    episodes: str | None = None
    """Episodes to draw, and whose pictures are looked at, e.g. 3,7,20-29 or all; default 12 that are drawn
    and 24 whose pictures are looked at, spread over the dataset. Numbers are looked at in all episodes."""
    camera: str | None = None
    """Camera whose pictures are drawn; default the first."""


def main(config: Config) -> None:
    """Print the summary of a dataset, and write the page and the recordings that are asked for."""
    from robot_rl.data.findings import PICTURE_EPISODES, inspect_dataset
    from robot_rl.data.store import Dataset

    ds = Dataset.open(config.dataset)
    chosen = parse_episodes(config.episodes, len(ds))
    if config.camera is not None:
        ds.camera(config.camera)
    page = _target(config.html, "--html", ds, ".inspect.html")
    folder = _target(config.rerun, "--rerun", ds, ".rerun")
    inspection = inspect_dataset(ds, pictures=chosen if chosen is not None else PICTURE_EPISODES)
    parts = ["\n".join(_overview(ds)), _findings(ds, inspection), *_ranges(inspection), *_provenance(ds)]
    print("\n\n".join(parts))
    if page is not None:
        from robot_rl.report.inspection import write_inspection

        with progress_so_far("drawing", "episodes") as report:
            write_inspection(page, ds, inspection, chosen, config.camera, report)
        print(f"\npage: {page}")
    if folder is not None:
        _write_rerun(folder, ds, inspection, chosen, config.camera)


def parse_episodes(text: str | None, total: int) -> list[int] | None:
    """Read "3,7,20-29" or "all" as episode numbers; None where nothing is chosen. Raises BadInput."""
    if text is None:
        return None
    if text == "all":
        return list(range(total))
    chosen: set[int] = set()
    for part in text.split(","):
        match = _EPISODES.fullmatch(part.strip())
        if match is None:
            raise BadInput(
                f"--episodes: '{part}' is no episode; give numbers and ranges, e.g. 3,7,20-29, or all"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < total:
            raise BadInput(f"--episodes: '{part}' is not in the dataset, which has episodes 0 to {total - 1}")
        chosen |= set(range(first, last + 1))
    return sorted(chosen)


def _target(given: tuple[Path, ...] | None, option: str, ds: Dataset, ending: str) -> Path | None:
    """Where to write, None where it is not asked for. Raises BadInput for several or a place inside `ds`."""
    if given is None:
        return None
    if len(given) > 1:
        raise BadInput(f"{option}: takes one path, not {len(given)}; give DATASET before the options")
    root = ds.root.resolve()
    path = given[0] if given else ds.root.with_name(root.name + ending)
    if path.resolve().is_relative_to(root):
        raise BadInput(f"{option}: {path} lies inside the dataset, which is only read; choose another place")
    return path


def _write_rerun(
    folder: Path, ds: Dataset, inspection: Inspection, chosen: Sequence[int] | None, camera: str | None
) -> None:
    from robot_rl.report.episodes import choose
    from robot_rl.report.inspection import DRAWN
    from robot_rl.report.rerun_log import write_rerun

    episodes = choose(ds, inspection, DRAWN) if chosen is None else chosen
    cameras = list(ds.info.cameras) if camera is None else [camera]
    paths = write_rerun(folder, ds, inspection, episodes, cameras)
    print(f"\n{len(paths)} of {len(ds)} episodes for Rerun: rerun {folder}/*.rrd")


def _overview(ds: Dataset) -> list[str]:
    """List the facts about the whole dataset, one line each."""
    info, lengths = ds.info, ds.lengths
    mean = lengths.mean()
    facts = {
        "dataset": ds.root,
        "robot": info.robot_type,
        "tasks": "; ".join(info.tasks[:5]) + (f"; … ({len(info.tasks)})" if len(info.tasks) > 5 else ""),
        "episodes": f"{len(ds)}, {int(ds.terminated.sum())} of them terminated",
        "frames": f"{info.total_frames} at {info.fps:g} Hz, {info.total_frames / info.fps:.0f} s",
        "lengths": f"{lengths.min()} to {lengths.max()} steps, mean {mean:.1f} ({mean / info.fps:.1f} s)",
        "cameras": ", ".join(f"{name} {h}x{w}" for name, (h, w) in info.cameras.items()),
        "further": ", ".join(f"{name} ({len(parts)},)" for name, parts in info.vectors.items()),
        "reward": _reward(ds),
        "success": _success(ds),
        "labels": ", ".join(name for name in info.labels if name not in info.clocks),
    }
    if info.clocks:
        facts["clocks"] = ", ".join(info.clocks)
    if info.placeholders:
        facts["absent"] = f"{' and '.join(info.placeholders)}: a zero stands in for each"
    width = max(map(len, facts)) + 1
    return [f"{name + ':':{width}} {value or '(none)'}" for name, value in facts.items()]


def _reward(ds: Dataset) -> str:
    """Say what the episodes' undiscounted returns are."""
    import numpy as np

    if not ds.info.has_rewards:
        return ""
    rewards = ds.column("next.reward", finite=False).astype(np.float64)
    returns = np.add.reduceat(rewards, ds.starts)
    return f"return {returns.mean():.4g} mean, {returns.min():.4g} to {returns.max():.4g}"


def _success(ds: Dataset) -> str:
    """Say in how many episodes the success flag is up at any step."""
    import numpy as np

    if not ds.info.has_success:
        return ""
    reached = np.logical_or.reduceat(ds.column("next.success"), ds.starts)
    return f"{int(reached.sum())} of {len(ds)} episodes ({reached.mean():.0%})"


def _findings(ds: Dataset, inspection: Inspection) -> str:
    """List the findings: level, kind and channel, what, where, and what to do."""
    from robot_rl.data.findings import counted

    looked = f"; pictures of {len(inspection.pictured)} of {len(ds)} episodes" if ds.info.cameras else ""
    lines = [f"findings: {counted(inspection.findings)} (numbers of {len(ds)} episodes{looked})"]
    for one in inspection.findings:
        lines += [
            f"  {one.level} [{one.kind}] {f'{one.channel}: ' if one.channel else ''}{one.what}",
            f"      where: {one.where(len(ds))}",
            f"      do:    {one.remedy}",
        ]
    return "\n".join(lines)


def _ranges(inspection: Inspection) -> list[str]:
    """One table for each field with named parts, and one for rewards and labels."""
    signals = {name: s for name, s in inspection.signals.items() if name != "success"}
    vectors = {name: s for name, s in signals.items() if s.parts != ("",)}
    plain = [s for s in signals.values() if s.parts == ("",)]
    found = [_range_table(name, [signal]) for name, signal in vectors.items()]
    return found + ([_range_table("column", plain)] if plain else [])


def _range_table(title: str, signals: Sequence[Signal]) -> str:
    """Names, units and statistics of all parts."""
    rows = [
        (part or _column(signal.field), unit or "?", *_statistics(signal.values[:, k]))
        for signal in signals
        for k, (part, unit) in enumerate(zip(signal.parts, signal.units, strict=True))
    ]
    if not any(row[1] != "?" for row in rows):
        return table((title, "min", "mean", "max", "std"), [(row[0], *row[2:]) for row in rows])
    return table((title, "unit", "min", "mean", "max", "std"), rows)


def _column(field: str) -> str:
    return "next.reward" if field == "reward" else field


def _statistics(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return min, mean, max and standard deviation of the finite values of (N,), in double precision."""
    import numpy as np

    values = values[np.isfinite(values)]
    if not len(values):
        return (float("nan"),) * 4
    return (
        float(values.min()),
        float(values.mean(dtype="float64")),
        float(values.max()),
        float(values.std(dtype="float64")),
    )


def _provenance(ds: Dataset) -> list[str]:
    """Show where the dataset comes from, as it was written down; what is long is cut."""
    found = {**ds.info.metadata, **(ds.info.provenance or {})}
    lines = [f"  {key}: {_short(value)}" for key, value in found.items()]
    return ["\n".join(["provenance", *lines])] if lines else []


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 400 else f"{text[:380]} … ({len(text)} characters, see meta/robot_rl.json)"
