"""What a v3 dataset says about itself: meta/info.json, meta/episodes and tasks, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.extras import read_dataset_extra
from robot_rl.data.staging import staged_episodes, staging_of
from robot_rl.data.tables import column_names, read_table, read_tasks, to_python
from robot_rl.errors import BadInput, nearest


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset says about itself."""

    fps: float  # Hz
    robot_type: str
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    cameras: Mapping[str, tuple[int, int]]  # height, width in pixels
    total_episodes: int
    total_frames: int
    tasks: tuple[str, ...]
    labels: tuple[str, ...]  # float columns with one number a step
    vectors: Mapping[str, tuple[str, ...]]  # further observations and the names of their parts
    has_rewards: bool
    has_success: bool
    metadata: Mapping[str, Any]  # as given to the writer
    provenance: Mapping[str, Any] | None  # of a relabeled version
    features: Mapping[str, Mapping[str, Any]]  # as in meta/info.json

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Fields that the source did not have, "state" or "action": zeros are in their place."""
        told = self.metadata.get("placeholders")
        return tuple(map(str, told)) if isinstance(told, list | tuple) else ()

    @property
    def clocks(self) -> tuple[str, ...]:
        """Labels that hold the source's own time stamps."""
        return tuple(name for name in self.labels if layout.is_clock(name))


def check_is_dataset(root: Path) -> None:
    """Raise BadInput unless `root` holds a finished dataset; tell an unfinished one apart."""
    if (root / layout.INFO).is_file():
        return
    if staging_of(root).is_dir():
        raise BadInput(
            f"{root} is unfinished: {len(staged_episodes(root))} episodes are closed and safe; "
            "run the same command again to resume and finish it"
        )
    if not root.exists():
        raise BadInput(f"{root} does not exist; give the folder of a dataset")
    raise BadInput(
        f"{root} is no dataset: it has no {layout.INFO}; give the folder that holds meta/, data/, videos/"
    )


def read_episodes(root: Path) -> list[dict[str, Any]]:
    """Rows of meta/episodes by episode, without statistics; BadInput where they are incomplete."""
    paths = sorted((root / "meta/episodes").glob("*/*.parquet"))
    if not paths:
        raise BadInput(f"{root}/meta/episodes has no Parquet file; fetch or import the dataset again")
    needed = ("episode_index", "length", "data/chunk_index", "data/file_index")
    rows = []
    for path in paths:
        names = [name for name in column_names(path) if not name.startswith("stats/")]
        rows += to_python(read_table(path, list(dict.fromkeys([*needed, *names]))), path)
    if any(not isinstance(row[name], int) for row in rows for name in needed):
        raise BadInput(f"{root}/meta/episodes: {', '.join(needed)} must be whole numbers in every row")
    rows.sort(key=lambda row: row["episode_index"])
    if [row["episode_index"] for row in rows] != list(range(len(rows))):
        raise BadInput(f"{root}/meta/episodes: episode_index must count 0, 1, 2, ... without gaps")
    if not rows or min(row["length"] for row in rows) < 1:
        raise BadInput(f"{root}/meta/episodes: there must be episodes, each with a length of at least 1")
    return rows


def read_info(root: Path, raw: Mapping[str, Any], episodes: list[dict[str, Any]]) -> DatasetInfo:
    where = root / layout.INFO
    features, fps = raw.get("features"), raw.get("fps")
    if not isinstance(features, dict) or not all(isinstance(f, dict) for f in features.values()):
        raise BadInput(f"{where}: features is missing; it must describe every column")
    if not isinstance(fps, int | float) or fps <= 0:
        raise BadInput(f"{where}: fps is {fps!r}; it must be a positive number of steps a second")
    for name in (layout.STATE, layout.ACTION):
        if name not in features:
            raise BadInput(f"{where}: features has no '{name}'.{nearest(name, features)}")
    own = read_dataset_extra(root / layout.OWN_JSON)
    tasks = read_tasks(root / layout.TASKS)
    return DatasetInfo(
        float(fps),
        str(raw.get("robot_type") or "unknown"),
        _names(features, layout.STATE, where),
        _names(features, layout.ACTION, where),
        _cameras(features, where),
        len(episodes),
        sum(row["length"] for row in episodes),
        tuple(tasks[i] for i in sorted(tasks)),
        _labels(features),
        {k.removeprefix(layout.OBSERVATION): _names(features, k, where) for k in _vectors(features)},
        layout.REWARD in features,
        layout.SUCCESS in features,
        own.metadata,
        own.provenance,
        features,
    )


def _names(features: Mapping[str, Any], name: str, where: Path) -> tuple[str, ...]:
    size = int(np.prod(layout.shape_of(features[name], f"{where}: {name}")))
    return tuple(layout.names_of(features[name], size, name.rsplit(".", 1)[-1]))


def _cameras(features: Mapping[str, Any], where: Path) -> dict[str, tuple[int, int]]:
    cameras = {}
    for key, feature in features.items():
        if feature.get("dtype") in ("video", "image"):
            name = layout.check_name(layout.camera_name(key), f"{where}: features")
            cameras[name] = layout.image_size(feature, f"{where}: {key}")
    return cameras


def _vectors(features: Mapping[str, Any]) -> list[str]:
    return [
        k
        for k, f in features.items()
        if k.startswith(layout.OBSERVATION) and k != layout.STATE and str(f.get("dtype")).startswith("float")
    ]


def _labels(features: Mapping[str, Any]) -> tuple[str, ...]:
    known = {layout.REWARD, layout.SUCCESS, layout.DONE, *layout.BOOKKEEPING, layout.ACTION}
    return tuple(
        k
        for k, f in features.items()
        if k not in known
        and not k.startswith(layout.OBSERVATION)
        and str(f.get("dtype")).startswith("float")
        and list(f.get("shape", [])) == [1]
    )
