"""Writes a dataset in the formats of other libraries; `data.importers` reads them back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robot_rl.data import layout
from robot_rl.data.disk import disk_trouble
from robot_rl.data.exporters.d3rlpy import write_d3rlpy
from robot_rl.data.exporters.d4rl import write_d4rl
from robot_rl.data.exporters.minari import write_minari
from robot_rl.data.exporters.robomimic import write_robomimic
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput, nearest

__all__ = ["FORMATS", "ExportReport", "export_dataset"]

# name -> (what writes it, whether it is a folder)
FORMATS = {
    "robomimic": (write_robomimic, False),
    "d4rl": (write_d4rl, False),
    "minari": (write_minari, True),
    "d3rlpy": (write_d3rlpy, False),
}


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    path: Path
    format: str
    episodes: int
    frames: int
    notes: tuple[str, ...]  # what the format has no place for


def export_dataset(
    dataset: Dataset,
    path: str | Path,
    format: str,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write `dataset` to the new file or folder `path` in one of FORMATS; it appears whole or not at all.

    `progress(done, total)` is called after each episode. Raises BadInput for an unknown format, for a path
    in use, for what the format requires and the dataset lacks, and for a full disk.
    """
    if format == "lerobot":
        raise BadInput(f"{dataset.root} is a LeRobotDataset v3 as it is; copy the folder")
    if format not in FORMATS:
        raise BadInput(f"there is no export format '{format}'.{nearest(format, FORMATS)}")
    write, folder = FORMATS[format]
    target = Path(os.path.abspath(path))
    if target.exists() and not (folder and target.is_dir() and not any(target.iterdir())):
        raise BadInput(f"{target} exists already; give a new {'folder' if folder else 'file'}")
    with disk_trouble(target):
        building = layout.building_folder(target)
        try:
            building.mkdir(parents=True)
            inside = building / (target.name if not folder else "whole")
            notes = write(dataset, inside, progress or (lambda *_: None))
            layout.sync_tree(building)
            os.rename(inside, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        layout.sync(target.parent)
    return ExportReport(target, format, len(dataset), dataset.info.total_frames, tuple(notes))
