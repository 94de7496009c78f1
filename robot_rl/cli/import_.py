"""`robot-rl import`: other people's logs in, a dataset of ours out, and a table of what was understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from robot_rl.cli.common import progress_so_far, table
from robot_rl.errors import BadInput

if TYPE_CHECKING:
    from robot_rl.data.store import Dataset

INTERRUPTED = "the episodes that are done are kept; the same command continues"


@dataclass(frozen=True)
class Config:
    """Bring a LeRobot, robomimic, D4RL, Minari, d3rlpy, MCAP or video-clip dataset into a new v3 folder."""

    src: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder or file to import; it is only read."""
    dst: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """Folder of the new dataset."""
    task: str | None = None
    """The goal in words, where the source does not say it."""
    fps: float | None = None
    """Steps a second (Hz), where the source does not say it."""
    episodes: int | None = None
    """Import only so many episodes, from the first; default all."""
    resize: str | None = None
    """Scale every camera to HEIGHTxWIDTH pixels, e.g. 224x224; default as they are."""
    on_bad: Literal["raise", "skip"] = "raise"
    """What to do at an episode that breaks a rule: stop and name it, or leave it out and count it."""
    mapping: Path | None = None
    """For bags: YAML file that says which topics and message fields are state, actions and cameras."""
    robot: str | None = None
    """For bags, in place of --mapping: a robot's contract by its name or file, e.g. for `deploy --record`."""
    memory: float | None = None
    """Memory (GB) that reading may take; default what the machine has."""


def main(config: Config) -> None:
    """Import the dataset and print what was understood."""
    from robot_rl.data.importers.isolated import import_isolated
    from robot_rl.data.store import Dataset

    if config.episodes is not None and config.episodes < 1:
        raise BadInput(f"--episodes must be at least 1, not {config.episodes}")
    if config.memory is not None and config.memory <= 0:
        raise BadInput(f"--memory must be positive, not {config.memory:g}")
    size = parse_size(config.resize)
    with progress_so_far("import", "episodes") as report:
        imported = import_isolated(
            config.src,
            config.dst,
            task=config.task,
            fps=config.fps,
            episodes=config.episodes,
            resize=size,
            on_bad=config.on_bad,
            mapping=None if config.mapping is None else str(config.mapping),
            robot=config.robot,
            memory_gb=config.memory,
            progress=report,
        )
    print(understood(imported.format, Dataset.open(config.dst), imported.notes))


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read "HEIGHTxWIDTH" in pixels; raises BadInput. Video needs even sizes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 2 or size[0] % 2 or size[1] % 2:
        raise BadInput(f"--resize must be HEIGHTxWIDTH in even pixels, e.g. 224x224, not '{text}'")
    return size


def understood(source_format: str, ds: Dataset, notes: Sequence[str]) -> str:
    """Say which fields were found, with shapes, rates and tasks, and what the importer noted."""
    fields = [
        (name, feature["dtype"], "x".join(map(str, feature["shape"])), _parts(feature.get("names")))
        for name, feature in ds.info.features.items()
    ]
    facts = [
        f"{ds.root}: {len(ds)} episodes, {ds.info.total_frames} frames at {ds.info.fps:g} Hz",
        f"source: {source_format}; robot: {ds.info.robot_type}",
        *(f"task: {task}" for task in ds.info.tasks),
        _ends(ds),
        *(f"camera: {name}, {height}x{width} pixels" for name, (height, width) in ds.info.cameras.items()),
    ]
    told = ["", *(f"note: {note}" for note in notes)] if notes else []
    return "\n".join([*facts, "", table(("field", "type", "shape", "parts"), fields), *told])


def _ends(ds: Dataset) -> str:
    """Say how episodes end, which learners need to know."""
    import numpy as np

    finals = ds.final_states()
    known = 0 if finals is None else int(np.isfinite(finals).all(1).sum())
    return f"ends: {int(ds.terminated.sum())} terminated, {known} with the observation after the last action"


def _parts(names: object) -> str:
    """Name the parts of a vector, the first few where there are many."""
    if not isinstance(names, (list, tuple)):
        return ""
    return ", ".join(map(str, names[:6])) + (f", ... ({len(names)})" if len(names) > 6 else "")
