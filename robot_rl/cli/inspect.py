"""`robot-rl inspect`: a dataset in one screen of text, read without touching its videos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_rl.cli.common import table

if TYPE_CHECKING:
    import numpy as np

    from robot_rl.data.store import Dataset

INTERRUPTED = "inspect only reads, so nothing changed"


@dataclass(frozen=True)
class Config:
    """Print what a dataset holds: episodes, rates, ranges, rewards, success, labels, provenance."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset."""


def main(config: Config) -> None:
    """Print the summary of a dataset."""
    from robot_rl.data.store import Dataset

    ds = Dataset.open(config.dataset)
    print("\n\n".join(["\n".join(_overview(ds)), *_ranges(ds), *_provenance(ds)]))


def _overview(ds: Dataset) -> list[str]:
    """List the facts about the whole dataset, one line each."""
    info, lengths = ds.info, ds.lengths
    mean = lengths.mean()
    facts = {
        "dataset": ds.root,
        "robot": info.robot_type,
        "tasks": "; ".join(info.tasks),
        "episodes": f"{len(ds)}, {int(ds.terminated.sum())} of them terminated",
        "frames": f"{info.total_frames} at {info.fps:g} Hz, {info.total_frames / info.fps:.0f} s",
        "lengths": f"{lengths.min()} to {lengths.max()} steps, mean {mean:.1f} ({mean / info.fps:.1f} s)",
        "cameras": ", ".join(f"{name} {h}x{w}" for name, (h, w) in info.cameras.items()),
        "further": ", ".join(f"{name} ({len(parts)},)" for name, parts in info.vectors.items()),
        "reward": _reward(ds),
        "success": _success(ds),
        "labels": ", ".join(info.labels),
    }
    width = max(map(len, facts)) + 1
    return [f"{name + ':':{width}} {value or '(none)'}" for name, value in facts.items()]


def _reward(ds: Dataset) -> str:
    """Say what the episodes' undiscounted returns are."""
    import numpy as np

    if not ds.info.has_rewards:
        return ""
    returns = np.add.reduceat(ds.column("next.reward").astype(np.float64), ds.starts)
    return f"return {returns.mean():.4g} mean, {returns.min():.4g} to {returns.max():.4g}"


def _success(ds: Dataset) -> str:
    """Say in how many episodes the success flag is up at any step."""
    import numpy as np

    if not ds.info.has_success:
        return ""
    reached = np.logical_or.reduceat(ds.column("next.success"), ds.starts)
    return f"{int(reached.sum())} of {len(ds)} episodes ({reached.mean():.0%})"


def _ranges(ds: Dataset) -> list[str]:
    """One table each for the parts of the state and of the action, and one for rewards and labels."""
    scalars = (["next.reward"] if ds.info.has_rewards else []) + list(ds.info.labels)
    tables = {
        "state": zip(ds.info.state_names, ds.column("observation.state").T, strict=True),
        "action": zip(ds.info.action_names, ds.column("action").T, strict=True),
        "column": ((name, ds.column(name)) for name in scalars),
    }
    found = []
    for title, columns in tables.items():
        rows = [(name, *_statistics(values)) for name, values in columns]
        if rows:
            found.append(table((title, "min", "mean", "max", "std"), rows))
    return found


def _statistics(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return min, mean, max and standard deviation of (N,), summed in double precision."""
    return (
        float(values.min()),
        float(values.mean(dtype="float64")),
        float(values.max()),
        float(values.std(dtype="float64")),
    )


def _provenance(ds: Dataset) -> list[str]:
    """Show where the dataset comes from, as it was written down."""
    found = {**ds.info.metadata, **(ds.info.provenance or {})}
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False, default=str)}" for key, value in found.items()]
    return ["\n".join(["provenance", *lines])] if lines else []
