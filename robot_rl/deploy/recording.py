"""Makes episodes of what a robot's topics say: one row a command, at the contract's rate, into a dataset.

Free of ROS: the recorder node tells it what was heard. The open episode lies in a `journal`; a closed one
goes into OUT/dataset (staged until the end). Started again after a kill, it goes on where it was.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.layout import read_json
from robot_rl.deploy.interface import StateBuilder
from robot_rl.deploy.journal import END, Journal, Plan, Row
from robot_rl.deploy.recording_folder import (
    DATASET,
    JOURNAL,
    PLAN,
    agree,
    closed_indices,
    convert,
    journals,
    recover,
)
from robot_rl.errors import BadInput, RobotRLError
from robot_rl.specs.robot_contract import RobotContract

_REMEMBERED = 0.5  # s of a source's readings that are kept, to find those before a command


def free_mb(path: Path) -> float:
    """Megabytes that are free on a folder's disk."""
    return shutil.disk_usage(path).free / 2**20


class Recording:
    """The recording of one robot into the folder `out`. Times are s of the clock that stamps messages."""

    def __init__(
        self,
        contract: RobotContract,
        out: Path,
        *,
        task: str,
        state_names: tuple[str, ...] = (),
        cameras: tuple[str, ...] | None = None,
        rewards: bool = False,
        min_free: float = 500.0,
        max_steps: int = 100_000,
        free: Callable[[Path], float] = free_mb,
    ) -> None:
        """Take the state's parts (default: all of the contract) and cameras (default: all).

        Recording stops while less than `min_free` MB are `free`; an episode of `max_steps` rows is cut.
        """
        self.contract, self.out = contract, Path(out)
        self.running, self.waiting, self.episodes = False, "", 0
        self._states = state_names or tuple(contract.state_parts())
        self._cameras = tuple(contract.cameras) if cameras is None else cameras
        self._task, self._rewards, self._max_steps = task, rewards, max_steps
        self._state = StateBuilder(contract, self._states)
        self._readings = {
            name: deque(maxlen=max(8, round(_REMEMBERED * source.rate)))
            for name, source in contract.sources.items()
        }
        self._pictures: dict[str, np.ndarray] = {}
        self._written: dict[str, int] = {}  # camera -> place of its latest picture in the open journal
        self._reward: float | None = None
        self._success = False
        self._journal: Journal | None = None
        self._row: Row | None = None  # the latest command, until what it led to is known
        self._metadata: dict[str, Any] = {}
        self._skipped = 0  # commands at the front of an episode of which no row could be made
        self._min_free, self._free = min_free, free
        self._full, self._refused = "", ""
        self._worker: threading.Thread | None = None
        self._claim()
        self._leftover = {folder.name for folder in journals(self.out)}

    @property
    def problem(self) -> str:
        """Why nothing is recorded although it should be, or ""."""
        return self._refused or self._full

    @property
    def rows(self) -> int:
        """Rows of the open episode."""
        return 0 if self._journal is None else self._journal.rows

    # What is heard.

    def heard(self, source: str, values: Mapping[str, float], stamp: float) -> None:
        """Note the state parts of a source, taken at `stamp`."""
        self._readings[source].append((stamp, dict(values)))

    def seen(self, camera: str, picture: np.ndarray) -> None:
        """Note the latest picture (H, W, 3) uint8 of a camera; earlier ones that no row needed are let go."""
        if camera in self._cameras:
            self._pictures[camera] = picture
            self._written.pop(camera, None)

    def judged(self, reward: float | None = None, success: bool | None = None) -> None:
        """Note what the latest command led to, as far as it is known."""
        self._reward = self._reward if reward is None else reward
        self._success = self._success if success is None else success

    def executed(self, actions: Mapping[str, float], stamp: float, intervention: bool = False) -> None:
        """Note a command, action -> value in the policy's units: a row of the episode that runs."""
        state = self._state_at(stamp)
        self._state.executed(actions)
        if not self.running or self.problem:
            return
        if state is None or not self._all_seen():
            self._skipped += 1
            return
        self._guarded(lambda: self._note(state, actions, stamp, intervention))

    def missing(self) -> str:
        """What has to be heard before rows can be made, or ""."""
        if self._state_at(float("inf")) is not None:
            self._all_seen()
        return self.waiting

    def _note(self, state: np.ndarray, actions: Mapping[str, float], stamp: float, person: bool) -> None:
        self._write_row()
        if self.rows >= self._max_steps:
            self._end({"ended": "as long as an episode may be"}, state)
        if self._journal is None:
            self._begin()
        for name in self._cameras:
            if name not in self._written:
                self._written[name] = self._journal.picture(name, self._sized(name))
        action = np.array([actions[name] for name in self._journal.plan.action_names])
        pictures = [self._written[name] for name in self._cameras]
        self._row = Row(stamp, state, action, person, 0.0, False, pictures)

    def _sized(self, camera: str) -> np.ndarray:
        picture, size = self._pictures[camera], self._journal.plan.cameras[camera]
        if picture.shape[:2] != size:
            raise BadInput(
                f"camera '{camera}': pictures are {picture.shape[0]}x{picture.shape[1]} now, "
                f"{size[0]}x{size[1]} before; record into another folder"
            )
        return picture

    def _write_row(self) -> None:
        """Append the latest command with what was judged since."""
        if self._row is not None and self._journal is not None:
            self._journal.append(replace(self._row, reward=self._reward or 0.0, success=self._success))
        self._row = None

    def _state_at(self, stamp: float) -> np.ndarray | None:
        """The state (S,) from each source's newest reading that is not after `stamp`."""
        for readings in self._readings.values():
            before = next((values for at, values in reversed(readings) if at <= stamp), None)
            if before is not None:
                self._state.heard(before)
        try:
            return self._state()
        except BadInput as error:
            self.waiting = str(error)
            return None

    def _all_seen(self) -> bool:
        missing = [name for name in self._cameras if name not in self._pictures]
        self.waiting = f"camera '{missing[0]}' has not been heard yet" if missing else ""
        if self._rewards and self._reward is None and not missing:
            self.waiting = "no reward has been heard yet"
        return not self.waiting

    # Episodes.

    def start(self, metadata: Mapping[str, Any] | None = None) -> None:
        """Begin an episode with the next command; one that is open ends first."""
        self.stop("the next one began")
        self.running, self._metadata = True, dict(metadata or {})
        self._success, self._skipped = False, 0

    def stop(self, why: str, metadata: Mapping[str, Any] | None = None) -> None:
        """End the episode, and note what else is known of it; one of fewer than two rows is dropped."""
        self.running, told = False, {"ended": why, **(metadata or {})}
        final = None if self._row is None else self._state_at(self._row.stamp + self.contract.period)
        self._guarded(lambda: (self._write_row(), self._end(told, final)))

    def _begin(self) -> None:
        sizes = {name: self._pictures[name].shape[:2] for name in self._cameras}
        plan = self._plan({name: (int(h), int(w)) for name, (h, w) in sizes.items()})
        agree(self.out, plan)
        taken = [int(folder.name.split("-")[1]) for folder in journals(self.out)]
        index = max([-1, *taken, *closed_indices(self.out)]) + 1
        begun = {"robot_contract": self.contract.name, "skipped": self._skipped, **self._metadata}
        self._journal = Journal(self.out / JOURNAL / f"episode-{index:06d}", plan, begun)
        self._written.clear()

    def _end(self, told: Mapping[str, Any], final: np.ndarray | None) -> None:
        if self._journal is None:
            return
        journal, self._journal, self._row = self._journal, None, None
        if journal.rows < 2:
            journal.close()
            shutil.rmtree(journal.folder)
            return
        journal.end(told, final)
        self.episodes += 1

    def _plan(self, sizes: Mapping[str, tuple[int, int]]) -> Plan:
        return Plan(
            fps=self.contract.control_rate,
            state_names=self._states,
            action_names=tuple(self.contract.channels()),
            cameras=sizes,
            robot=self.contract.robot,
            task=self._task,
            rewards=self._rewards,
        )

    # The disk.

    def sync(self) -> None:
        """Flush the open episode, look at the room that is left, and let closed episodes be converted.

        Call it each second.
        """
        if self._free(self.out) < self._min_free:
            self._fail(f"less than {self._min_free:g} MB are free")
            return
        self._full = ""
        if self._journal is not None:
            self._guarded(self._journal.sync)
        if not self._refused and self._closed() and (self._worker is None or not self._worker.is_alive()):
            self._worker = threading.Thread(target=lambda: self._guarded(self._convert), daemon=True)
            self._worker.start()

    def close(self) -> Path | None:
        """End the episode and make the dataset; returns its folder, or None where nothing was recorded."""
        self.stop("the recorder ended")
        if self._worker is not None:
            self._worker.join()
        return recover(self.out)

    def _closed(self) -> list[Path]:
        """Journals to convert: those that were ended, and what a killed recorder left."""
        return [f for f in journals(self.out) if (f / END).exists() or f.name in self._leftover]

    def _convert(self) -> None:
        convert(self.out, self._closed())

    def _guarded(self, work: Callable[[], Any]) -> None:
        """Do what needs the disk; a failure ends the recording, never the process."""
        try:
            work()
        except OSError as error:
            self._fail(error.strerror or str(error))
        except RobotRLError as error:
            self._refused = str(error)

    def _fail(self, why: str) -> None:
        """Record nothing until there is room; the open episode is kept as far as it was written."""
        self._full = f"not recording into {self.out}: {why}; make room, and it goes on"
        if self._journal is not None:
            self._leftover.add(self._journal.folder.name)
            self._journal.close()
            self._journal = self._row = None

    def _claim(self) -> None:
        """Take the folder, new or with what a killed recorder of the same robot left; raises BadInput."""
        if (self.out / DATASET).exists():
            raise BadInput(f"{self.out} already holds a finished recording; choose another folder")
        (self.out / JOURNAL).mkdir(parents=True, exist_ok=True)
        if (self.out / PLAN).exists():
            sizes = Plan.of_json(read_json(self.out / PLAN)).cameras
            names = {name: sizes.get(name, (0, 0)) for name in self._cameras}
            agree(self.out, self._plan(names))
