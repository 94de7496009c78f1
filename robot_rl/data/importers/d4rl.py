"""Reads D4RL HDF5 files: all steps one behind the other, episodes cut by `terminals` and `timeouts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import Episode
from robot_rl.errors import BadInput, nearest

REQUIRED = ("observations", "actions", "rewards", "terminals", "timeouts")
DEFAULT_FPS = 10.0  # Hz; the files do not say


class D4rlSource:
    """One D4RL file; `infos` of one row a step become labels, of one row an episode metadata."""

    def __init__(self, path: Path, task: str | None, fps: float | None = None):
        """Open `path`; `task` is required, for the format has no texts; `fps` in Hz."""
        if not task:
            raise BadInput(f'{path}: a D4RL file has no task text; give it, e.g. --task "open the door"')
        self.path, self._task, self._fps = path, task, float(fps or DEFAULT_FPS)
        self.notes: list[str] = []
        if fps is None:
            self.notes.append(f"the file does not say the control rate; {DEFAULT_FPS:g} Hz is assumed (fps)")
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise BadInput(f"{path} is not a readable HDF5 file ({error}); fetch it again") from error
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> D4rlSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends)

    def _load(self) -> None:
        arrays = {key: self._read(key) for key in REQUIRED}
        steps = len(arrays["observations"])
        if steps == 0:
            raise BadInput(f"{self.path} holds no steps; fetch it again")
        for key, array in arrays.items():
            axes = 2 if key in ("observations", "actions") else 1
            if array.ndim != axes or len(array) != steps:
                raise BadInput(
                    f"{self.path}: '{key}' has the shape {array.shape}; it needs {axes} axes and {steps} "
                    "rows like 'observations'"
                )
        self._arrays = arrays
        self._terminals = arrays["terminals"].astype(bool)
        ended = self._terminals | arrays["timeouts"].astype(bool)
        if not ended[-1]:
            self.notes.append("the last episode is cut off by the end of the file; it is kept as a timeout")
        ended[-1] = True
        self._ends = np.flatnonzero(ended) + 1  # (E,) first step after each episode
        self._starts = np.concatenate([[0], self._ends[:-1]])
        self._next = self._read("next_observations") if "next_observations" in self._file else None
        if self._next is not None and self._next.shape != arrays["observations"].shape:
            raise BadInput(
                f"{self.path}: 'next_observations' has the shape {self._next.shape}, unlike 'observations'"
            )
        self._note_actions(arrays["actions"])
        self._sort_infos(steps)
        self.settings = self._settings()

    def _read(self, key: str) -> np.ndarray:
        if key not in self._file or not isinstance(self._file[key], h5py.Dataset):
            raise BadInput(f"{self.path}: has no array '{key}'.{nearest(key, self._file.keys())}")
        try:
            array = self._file[key][()]
        except OSError as error:
            raise BadInput(f"{self.path}: '{key}' cannot be read ({error}); fetch the file again") from error
        if array.dtype.kind not in "fiub":
            raise BadInput(f"{self.path}: '{key}' has the dtype {array.dtype}; it must hold numbers")
        return array.astype(np.float32) if array.dtype.kind == "f" and not key.startswith("infos") else array

    def _note_actions(self, actions: np.ndarray) -> None:
        beyond = np.abs(actions) > 1
        if beyond.any():
            self.notes.append(
                f"{int(beyond.sum())} of {actions.size} action values, in {int(beyond.any(1).sum())} of "
                f"{len(actions)} steps, exceed +-1 (largest {np.abs(actions).max():.3g}); kept as they are"
            )

    def _sort_infos(self, steps: int) -> None:
        """Tell infos of one row a step from those of one row an episode; note what is left behind."""
        self._labels: dict[str, np.ndarray] = {}
        self._vectors: dict[str, np.ndarray] = {}
        self._per_episode: dict[str, np.ndarray] = {}
        for key in self._arrays_under("infos"):
            array, name = self._read(key), key.replace("/", ".")
            if array.shape[:1] == (steps,) and array.ndim == 1:
                self._labels[name] = array.astype(np.float32)
            elif array.shape[:1] == (steps,) and array.ndim == 2:
                self._vectors[name] = array.astype(np.float32)
            elif array.shape[:1] == (len(self),):
                self._per_episode[key] = array
            else:
                self.notes.append(
                    f"'{key}' {array.shape} is neither one row a step nor an episode; not taken over"
                )
        ignored = sorted(set(self._file) - {*REQUIRED, "next_observations", "infos"})
        if ignored:
            self.notes.append(f"not taken over: {', '.join(ignored)}")

    def _arrays_under(self, group: str) -> list[str]:
        found: list[str] = []
        if group in self._file:
            self._file[group].visititems(
                lambda name, item: found.append(f"{group}/{name}") if isinstance(item, h5py.Dataset) else None
            )
        return found

    def _settings(self) -> dict[str, Any]:
        sizes = {key: self._arrays[key].shape[1] for key in ("observations", "actions")}
        for name in (*self._labels, *self._vectors):
            layout.check_name(name, f"{self.path}: infos")
        return {
            "fps": self._fps,
            "state_names": [f"state_{i}" for i in range(sizes["observations"])],
            "action_names": [f"action_{i}" for i in range(sizes["actions"])],
            "labels": list(self._labels),
            "vectors": {
                name: [f"{name}_{i}" for i in range(array.shape[1])] for name, array in self._vectors.items()
            },
            "metadata": {"source": {"format": "D4RL", "name": self.path.name, "keys": sorted(self._file)}},
        }

    def where(self, index: int) -> str:
        """The file and the episode's rows in it."""
        return f"{self.path}: episode {index} (rows {self._starts[index]} to {self._ends[index] - 1})"

    def episode(self, index: int) -> Episode:
        """One episode of the file."""
        rows = slice(self._starts[index], self._ends[index])
        observations = {"state": self._arrays["observations"][rows].astype(np.float32)}
        observations |= {name: array[rows] for name, array in self._vectors.items()}
        final = None if self._next is None else {"state": self._next[rows.stop - 1].astype(np.float32)}
        infos = {key: array[index].tolist() for key, array in self._per_episode.items()}
        return Episode(
            observations,
            self._arrays["actions"][rows].astype(np.float32),
            self._task,
            self._fps,
            self._arrays["rewards"][rows].astype(np.float32),
            terminated=bool(self._terminals[rows.stop - 1]),
            final_observation=final,
            labels={name: array[rows] for name, array in self._labels.items()},
            metadata={"source_rows": [int(rows.start), int(rows.stop)], **infos},
        )
