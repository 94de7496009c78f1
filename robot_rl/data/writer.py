"""Writes datasets: one staged folder an episode, made into a LeRobot v3 dataset when closed.

Staged episodes lie in `<dataset>.staging/`; each appears there by one rename, so several processes may write
and a killed one loses only the episode it was writing.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robot_rl.data import layout
from robot_rl.data.checksums import write_checksums
from robot_rl.data.consolidate import Limits, consolidate
from robot_rl.data.disk import disk_trouble
from robot_rl.data.episode import IMAGE, Episode, validate_episode
from robot_rl.data.extras import extra_row, extra_table
from robot_rl.data.spec import DatasetSpec
from robot_rl.data.staging import (
    GROUP,
    STAGED,
    Staged,
    group_name,
    staged_episodes,
    staging_of,
    write_group,
)  # fmt: skip
from robot_rl.data.stats import columns_stats, image_stats
from robot_rl.data.tables import to_arrow, write_table
from robot_rl.data.video_write import Encoding, write_frames
from robot_rl.errors import BadInput, RobotRLError

SPEC = "writer.json"


def _ours(name: str) -> bool:
    return name == SPEC or name.startswith(".tmp-") or bool(STAGED.fullmatch(name) or GROUP.fullmatch(name))


class DatasetWriter:
    """Collects episodes into a new dataset at `path`; made again with the same arguments, it resumes."""

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float,
        state_names: Sequence[str],
        action_names: Sequence[str],
        cameras: Mapping[str, tuple[int, int]] | None = None,
        robot_type: str = "unknown",
        metadata: Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        vectors: Mapping[str, Sequence[str]] | None = None,
        encoding: Encoding | None = None,
        limits: Limits | None = None,
        provenance: Mapping[str, Any] | None = None,
    ):
        """Take the rate (Hz), names of parts, cameras as {name: (height, width)} and label columns."""
        self.path = Path(os.path.abspath(path))
        self.spec = DatasetSpec(
            float(fps),
            tuple(state_names),
            tuple(action_names),
            {name: (int(h), int(w)) for name, (h, w) in (cameras or {}).items()},
            robot_type,
            tuple(labels),
            {name: tuple(parts) for name, parts in (vectors or {}).items()},
            dict(metadata or {}),
            None if provenance is None else dict(provenance),
        )
        self.spec.check()
        self._encoding, self._limits = encoding or Encoding(), limits or Limits()
        self._columns: list[str] | None = None
        layout.check_target(self.path)
        self.staging = staging_of(self.path)
        with disk_trouble(self.staging):
            self._claim_staging()

    def _claim_staging(self) -> None:
        mine = json.loads(layout.to_json(asdict(self.spec)))
        try:
            self.staging.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # as in /proc, or below a link that leads nowhere
            raise BadInput(
                f"{self.path}: its folder cannot be made there ({error.strerror}: {error.filename}); "
                "choose another folder"
            ) from error
        marker = self.staging / SPEC
        if not marker.exists():
            if any(not _ours(path.name) for path in self.staging.iterdir()):
                raise BadInput(f"{self.staging} holds something else; remove it or choose another folder")
            temporary = self.staging / f".tmp-{uuid.uuid4().hex}"
            layout.write_json(mine, temporary)
            os.replace(temporary, marker)
        theirs = layout.read_json(marker)
        for name, value in mine.items():
            if theirs.get(name) != value:
                raise BadInput(
                    f"{self.staging}: the unfinished dataset has {name} = {theirs.get(name)!r}, "
                    f"not {value!r}; resume with the same settings or remove that folder"
                )

    def closed_indices(self) -> set[int]:
        """Indices of the episodes that are safely written, by this or any other process or run."""
        return set(staged_episodes(self.path))

    def write(self, index: int, episode: Episode) -> None:
        """Write one episode so that it appears whole or not at all; BadInput if it breaks the contract."""
        columns, where = self.check(index, episode), f"episode {index}"
        with disk_trouble(self.staging, self._kept):
            self._write(index, episode, columns, where)

    @property
    def _kept(self) -> str:
        return f"the episodes that are done are kept in {self.staging}, and the same call continues"

    def _write(self, index: int, episode: Episode, columns: Mapping[str, np.ndarray], where: str) -> None:
        temporary = self.staging / f".tmp-{index}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        temporary.mkdir()
        try:
            self._fill(temporary, episode, columns)
            layout.sync_tree(temporary)
            os.rename(temporary, self.staging / f"episode-{index:06d}")
        except FileExistsError as error:
            raise BadInput(f"{where} of {self.path} is already written") from error
        except OSError as error:
            if (self.staging / f"episode-{index:06d}").exists():
                raise BadInput(f"{where} of {self.path} is already written") from error
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        layout.sync(self.staging)

    def check(self, index: int, episode: Episode, valid: bool = False) -> dict[str, np.ndarray]:
        """Raise BadInput where `write` would refuse the episode; returns its columns.

        `valid`: it has been through `validate_episode`.
        """
        where = f"episode {index}"
        if not valid:
            validate_episode(episode, where)
        self._check(episode, where)
        columns = self._table_columns(episode)
        self._check_columns(list(columns), where)
        return columns

    def write_many(self, episodes: Mapping[int, Episode]) -> None:
        """Write several episodes without pictures at once, much faster than one by one; all or none appear.

        Not for several processes that may write the same episode, which only `close` would notice.
        """
        self.write_checked({index: (one, self.check(index, one)) for index, one in episodes.items()})

    def write_checked(self, episodes: Mapping[int, tuple[Episode, Mapping[str, np.ndarray]]]) -> None:
        """As `write_many`, of episodes with the columns that `check` returned for them."""
        if self.spec.cameras:
            raise BadInput(f"{self.path} has cameras; write its episodes one by one")
        columns = [own for _, own in episodes.values()]
        joined = {name: np.concatenate([own[name] for own in columns]) for name in columns[0]}
        data = pa.table({name: to_arrow(values) for name, values in joined.items()})
        del joined
        extras = extra_table([episode for episode, _ in episodes.values()])
        rows = self._records(episodes)
        with disk_trouble(self.staging, self._kept):
            temporary = self.staging / f".tmp-group-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            temporary.mkdir()
            try:
                write_group(temporary, data, extras, rows)
                layout.sync_tree(temporary)
                os.rename(temporary, self.staging / group_name(list(episodes)))
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            layout.sync(self.staging)

    def _records(self, episodes: Mapping[int, tuple[Episode, Mapping[str, np.ndarray]]]) -> dict[str, Any]:
        """The columns of `write_group`'s rows."""
        stats = [columns_stats(columns) for _, columns in episodes.values()]
        rows = {
            "index": list(episodes),
            "task": [episode.task for episode, _ in episodes.values()],
            "length": [len(episode) for episode, _ in episodes.values()],
            "columns": [list(columns) for _, columns in episodes.values()],
        }
        for name, parts in stats[0].items():
            rows |= {f"stats/{name}/{part}": np.stack([one[name][part] for one in stats]) for part in parts}
        return rows

    def _check(self, episode: Episode, where: str) -> None:
        spec = self.spec
        if episode.fps != spec.fps:
            raise BadInput(f"{where}: fps is {episode.fps}, but the dataset has {spec.fps}")
        sizes = {"state": len(spec.state_names), **{k: len(v) for k, v in spec.vectors.items()}}
        expected = {key: (size,) for key, size in sizes.items()}
        expected |= {IMAGE + name: (*size, 3) for name, size in spec.cameras.items()}
        given = {key: tuple(value.shape[1:]) for key, value in episode.observations.items()}
        for key in sorted({*expected, *given}):
            if given.get(key) != expected.get(key):
                raise BadInput(
                    f"{where}: observations['{key}'] has the shape {given.get(key, 'absent')} a step, "
                    f"but the dataset has {expected.get(key, 'no such observation')}"
                )
        if episode.actions.shape[1] != len(spec.action_names):
            raise BadInput(
                f"{where}: actions have {episode.actions.shape[1]} parts, but the dataset names "
                f"{len(spec.action_names)}"
            )
        if set(episode.labels) != set(spec.labels):
            raise BadInput(
                f"{where}: labels are {sorted(episode.labels)}, but the dataset has {sorted(spec.labels)}"
            )

    def _table_columns(self, episode: Episode) -> dict[str, np.ndarray]:
        steps = np.arange(len(episode), dtype=np.int64)
        columns = {layout.STATE: episode.observations["state"]}
        columns |= {layout.OBSERVATION + name: episode.observations[name] for name in self.spec.vectors}
        columns[layout.ACTION] = episode.actions
        if episode.rewards is not None:
            columns[layout.REWARD] = episode.rewards
        if episode.success is not None:
            columns[layout.SUCCESS] = episode.success
        columns[layout.DONE] = steps == len(episode) - 1
        columns |= {name: episode.labels[name] for name in self.spec.labels}
        columns["timestamp"] = (steps / self.spec.fps).astype(np.float32)
        columns["frame_index"] = steps
        return {name: np.asarray(values) for name, values in columns.items()}

    def _check_columns(self, columns: list[str], where: str) -> None:
        if self._columns is None:
            first = next(iter(staged_episodes(self.path).values()), None)
            self._columns = columns if first is None else first.record()["columns"]
        odd = set(columns) ^ set(self._columns)
        if odd:
            name = sorted(odd)[0]
            raise BadInput(
                f"{where}: {'has' if name in columns else 'lacks'} '{name}', unlike the episodes before; "
                "give rewards and success for all episodes or for none"
            )

    def _fill(self, folder: Path, episode: Episode, columns: Mapping[str, np.ndarray]) -> None:
        write_table(
            pa.table({name: to_arrow(values) for name, values in columns.items()}), folder / "data.parquet"
        )
        write_table(extra_row(episode), folder / "extra.parquet")
        stats = columns_stats(columns)
        for camera in self.spec.cameras:
            frames = episode.observations[IMAGE + camera]
            write_frames(frames, folder / f"{camera}.mp4", self.spec.fps, self._encoding)
            stats[layout.IMAGES + camera] = image_stats(frames)
        record = {"task": episode.task, "length": len(episode), "columns": list(columns), "stats": stats}
        layout.write_json(record, folder / "episode.json")

    def close(self) -> None:
        """Make the staged episodes, in the order of their indices, into the dataset; remove the staging."""
        layout.check_target(self.path)
        staged = list(staged_episodes(self.path).values())
        if not staged:
            raise BadInput(f"{self.path}: no episode was written, so there is no dataset to close")
        with disk_trouble(self.path, self._kept):
            building = layout.building_folder(self.path)
            try:
                consolidate(staged, self.spec, building, self._limits)
                write_checksums(building)
                layout.sync_tree(building)
                os.rename(building, self.path)
            finally:
                shutil.rmtree(building, ignore_errors=True)
            layout.sync(self.path.parent)
        self._remove_staging(staged)

    def _remove_staging(self, done: Sequence[Staged]) -> None:
        """Remove what went into the dataset; an episode that another process added meanwhile stays."""
        for folder in [*{episode.folder for episode in done}, *self.staging.glob(".tmp-*")]:
            shutil.rmtree(folder, ignore_errors=True)
        late = staged_episodes(self.path)
        if late:
            raise RobotRLError(
                f"{self.path} is finished, but episodes {sorted(late)} were written meanwhile; "
                f"they remain in {self.staging}"
            )
        shutil.rmtree(self.staging)
