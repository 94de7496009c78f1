"""The episode that is being recorded, on disk while it grows: what a power cut leaves of it can be read.

A folder holds header.json, rows.bin (a number for each column, then a CRC) and a file of pictures for each
camera. Records have a fixed size and are appended, so a cut one is noticed and ends the episode before it.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.layout import read_json, sync, write_json
from robot_rl.errors import BadInput

HEADER, ROWS, END = "header.json", "rows.bin", "end.json"
INTERVENTION = "intervention"  # label: 1 where a person's command was executed, 0 where the policy's was
_CRC = 4  # bytes


@dataclass(frozen=True)
class Plan:
    """What all rows of a recording hold."""

    fps: float  # Hz
    state_names: tuple[str, ...]  # S
    action_names: tuple[str, ...]  # A
    cameras: Mapping[str, tuple[int, int]]  # height, width in pixels
    robot: str
    task: str
    rewards: bool  # whether each row has a reward

    def to_json(self) -> dict[str, Any]:
        """As JSON would give it back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        sizes = {name: (size[0], size[1]) for name, size in value["cameras"].items()}
        names = {key: tuple(value[key]) for key in ("state_names", "action_names")}
        return cls(**{**value, **names, "cameras": sizes})

    @property
    def width(self) -> int:
        """Numbers in a row: stamp, state, action, intervention, reward, success, places of pictures."""
        return 1 + len(self.state_names) + len(self.action_names) + 3 + len(self.cameras)


@dataclass(frozen=True)
class Row:
    """One command, and what was known when it was given."""

    stamp: float  # s, of the command
    state: np.ndarray  # (S,)
    action: np.ndarray  # (A,) as executed, in the policy's units
    intervention: bool
    reward: float
    success: bool
    pictures: Sequence[int] = field(default=())  # place in each camera's file


class Journal:
    """Appends rows and pictures to a new folder."""

    def __init__(self, folder: Path, plan: Plan, metadata: Mapping[str, Any]) -> None:
        self.folder, self.plan, self.rows = folder, plan, 0
        temporary = folder.with_name(f".tmp-{folder.name}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_json({"plan": plan.to_json(), "metadata": dict(metadata)}, temporary / HEADER)
        os.rename(temporary, folder)
        sync(folder.parent)
        # Unbuffered: what was appended is the system's, and outlives this process.
        self._rows = (folder / ROWS).open("ab", buffering=0)
        self._files = {name: (folder / f"{name}.bin").open("ab", buffering=0) for name in plan.cameras}
        self._counts = dict.fromkeys(plan.cameras, 0)

    def picture(self, camera: str, picture: np.ndarray) -> int:
        """Append a picture (H, W, 3) uint8; returns its place, for rows."""
        _append(self._files[camera], np.ascontiguousarray(picture, np.uint8).tobytes())
        self._counts[camera] += 1
        return self._counts[camera] - 1

    def append(self, row: Row) -> None:
        """Append a row; its pictures must have been appended before."""
        numbers = [row.stamp, *row.state, *row.action, row.intervention, row.reward, row.success]
        _append(self._rows, np.array([*numbers, *row.pictures], np.float64).tobytes())
        self.rows += 1

    def sync(self) -> None:
        """Flush to the disk: what was appended so far outlives a power cut."""
        for file in (*self._files.values(), self._rows):
            os.fsync(file.fileno())

    def end(self, metadata: Mapping[str, Any], final_state: np.ndarray | None = None) -> None:
        """Note how the episode ended, and close it."""
        final = None if final_state is None else [float(value) for value in final_state]
        self.sync()
        self.close()
        write_json({"metadata": dict(metadata), "final_state": final}, self.folder / END)

    def close(self) -> None:
        """Let go of the files; what is there can be read by `read_journal`."""
        for file in (*self._files.values(), self._rows):
            file.close()


def _append(file: BinaryIO, content: bytes) -> None:
    record = memoryview(content + zlib.crc32(content).to_bytes(_CRC, "little"))
    while record:
        record = record[file.write(record) :]


class JournalFrames(Frames):
    """Pictures of a journal at its rows, read when asked for."""

    def __init__(self, path: Path, size: tuple[int, int], places: np.ndarray) -> None:
        """Take the file of a camera, its (height, width) and the place (T,) of each row's picture."""
        self._path, self._places, self.shape = path, places.astype(np.int64), (len(places), *size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the pictures at `indices` (n,)."""
        size = int(np.prod(self.shape[1:]))
        found = np.empty((len(indices), size), np.uint8)
        with self._path.open("rb") as file:
            for k, place in enumerate(self._places[indices]):
                file.seek(int(place) * (size + _CRC))
                found[k] = np.frombuffer(file.read(size), np.uint8)
        return found.reshape(-1, *self.shape[1:])


def read_journal(folder: Path) -> Episode | None:
    """The episode in a journal's folder, up to the first record that is not whole; None below two rows."""
    header = read_json(folder / HEADER)
    try:
        plan = Plan.of_json(header["plan"])
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{folder / HEADER} is not what a recorder writes ({error}); remove {folder}"
        ) from error
    # A journal that was not ended has no end.json, or a cut one.
    end: Mapping[str, Any] = _end(folder)
    table = _rows(folder, plan)
    if len(table) < 2:
        return None
    return _episode(folder, plan, table, header["metadata"], end)


def _end(folder: Path) -> Mapping[str, Any]:
    try:
        return read_json(folder / END)
    except BadInput:
        return {"metadata": {"ended": "the recorder was killed", "recovered": True}, "final_state": None}


def _records(path: Path, size: int) -> list[bytes]:
    """The whole records of `size` bytes at the front of a file."""
    found = []
    if path.exists():
        with path.open("rb") as file:
            while len(record := file.read(size + _CRC)) == size + _CRC and _whole(record):
                found.append(record[:-_CRC])
    return found


def _whole(record: bytes) -> bool:
    return zlib.crc32(record[:-_CRC]) == int.from_bytes(record[-_CRC:], "little")


def _pictures(path: Path, size: int) -> int:
    """How many whole pictures of `size` bytes stand at the front of a file; one at a time in memory."""
    count = 0
    if path.exists():
        with path.open("rb") as file:
            while len(record := file.read(size + _CRC)) == size + _CRC and _whole(record):
                count += 1
    return count


def _rows(folder: Path, plan: Plan) -> np.ndarray:
    """The rows (T, width) float64 that are whole and whose pictures are."""
    records = _records(folder / ROWS, 8 * plan.width)
    table = np.frombuffer(b"".join(records), np.float64).reshape(-1, plan.width)
    kept = len(table)
    for k, (name, (height, width)) in enumerate(plan.cameras.items()):
        count = _pictures(folder / f"{name}.bin", height * width * 3)
        lost = np.flatnonzero(table[:, plan.width - len(plan.cameras) + k] >= count)
        kept = min(kept, int(lost[0]) if len(lost) else kept)
    return table[:kept]


def _episode(
    folder: Path, plan: Plan, table: np.ndarray, begun: Mapping[str, Any], end: Mapping[str, Any]
) -> Episode:
    states, actions, cameras = len(plan.state_names), len(plan.action_names), len(plan.cameras)
    ends = np.cumsum([1, states, actions, 1, 1, 1, cameras])
    stamp, state, action, person, reward, success, places, _ = np.split(table, ends, axis=1)
    observations: dict[str, Any] = {"state": state.astype(np.float32)}
    for k, (name, size) in enumerate(plan.cameras.items()):
        observations[IMAGE + name] = JournalFrames(folder / f"{name}.bin", size, places[:, k])
    final = end["final_state"]
    seconds = float(stamp[-1, 0] - stamp[0, 0])
    return Episode(
        observations=observations,
        actions=action.astype(np.float32),
        task=plan.task,
        fps=plan.fps,
        rewards=reward[:, 0].astype(np.float32) if plan.rewards else None,
        success=success[:, 0] > 0,
        final_observation=None if final is None else {"state": np.asarray(final, np.float32)},
        labels={INTERVENTION: person[:, 0].astype(np.float32)},
        metadata={**begun, **end["metadata"], "began": float(stamp[0, 0]), "seconds": seconds},
    )
