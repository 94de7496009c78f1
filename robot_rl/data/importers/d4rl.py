"""Reads D4RL HDF5 files: all steps one behind the other, episodes cut by `terminals` and `timeouts`."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import Episode
from robot_rl.data.importers.clocks import seconds, unit_words
from robot_rl.data.importers.hdf5_source import Hdf5Source, json_words, names_told
from robot_rl.data.importers.source import floats
from robot_rl.errors import BadInput

REQUIRED = ("observations", "actions", "rewards", "terminals", "timeouts")
OWN = "robot_rl"  # an attribute of ours, see data.exporters.d4rl
HELD = 2**28  # bytes up to which an array is read at once; larger ones are read by episodes
_BLOCK = 2**16  # rows of a large array looked at together


class D4rlSource(Hdf5Source):
    """One D4RL file; `infos` of one row a step become labels, of one row an episode metadata."""

    default_fps = 10.0

    def _check_options(self) -> None:
        self._options.refuse_size(self.path, "D4RL files")

    def __len__(self) -> int:
        return len(self._ends)

    def _load(self) -> None:
        self._own = json_words(self._file.attributes("/", [OWN]).get(OWN)) or {}
        self._fps = self._rate(self._own.get("fps"), "the file", f"{self.path}: the attribute '{OWN}': fps")
        self._held: dict[str, np.ndarray] = {}
        steps = self._check_shapes()
        terminals = self._flags("terminals")
        ended = terminals | self._flags("timeouts")
        if not ended[-1]:
            self.notes.append("the last episode is cut off by the end of the file; it is kept as a timeout")
        ended[-1] = True
        self._terminals = terminals
        self._ends = np.flatnonzero(ended) + 1  # (E,) first step after each episode
        self._starts = np.concatenate([[0], self._ends[:-1]])
        self._tasks = self._read_tasks()
        self._note_actions(steps)
        self._sort_infos(steps)
        self.settings = self._settings()

    def _read_tasks(self) -> list[str]:
        tasks = self._own.get("tasks")
        fits = isinstance(tasks, list) and len(tasks) == len(self) and all(isinstance(t, str) for t in tasks)
        if fits and not self._options.task:
            return tasks
        return [self._options.task_or_refuse(self.path, "a D4RL file")] * len(self)

    def _check_shapes(self) -> int:
        """Check the arrays' shapes; returns the number of steps."""
        shapes = {key: self._file.shape(key) for key in REQUIRED}
        steps = shapes["observations"][0] if shapes["observations"] else 0
        if steps == 0:
            raise BadInput(f"{self.path} holds no steps; fetch it again")
        for key, shape in shapes.items():
            axes = 2 if key in ("observations", "actions") else 1
            if len(shape) != axes or shape[0] != steps:
                raise BadInput(
                    f"{self.path}: '{key}' has the shape {shape}; it needs {axes} axes and {steps} "
                    "rows like 'observations'"
                )
        self._final = self._file.has("next_observations")
        if self._final and self._file.shape("next_observations") != shapes["observations"]:
            raise BadInput(
                f"{self.path}: 'next_observations' has the shape {self._file.shape('next_observations')}, "
                "unlike 'observations'"
            )
        return steps

    def _flags(self, key: str) -> np.ndarray:
        return self._file.numbers(key).astype(bool)

    def _rows(self, key: str, rows: slice) -> np.ndarray:
        """Some rows of an array; one that is small is read once and kept."""
        if key not in self._held:
            array = self._file.array(key)
            if array.size * array.dtype.itemsize > HELD:
                return self._file.numbers(key, rows)
            self._held[key] = self._file.numbers(key)
        return self._held[key][rows]

    def _note_actions(self, steps: int) -> None:
        values = beyond_steps = size = 0
        largest = 0.0
        for start in range(0, steps, _BLOCK):
            actions = self._rows("actions", slice(start, start + _BLOCK))
            size += actions.size
            if actions.size and (top := max(float(actions.max()), -float(actions.min()))) > 1:
                beyond = np.abs(actions) > 1
                values, beyond_steps = values + int(beyond.sum()), beyond_steps + int(beyond.any(1).sum())
                largest = max(largest, top)
        if values:
            self.notes.append(
                f"{values} of {size} action values, in {beyond_steps} of {steps} steps, exceed +-1 "
                f"(largest {largest:.3g}); kept as they are"
            )

    def _sort_infos(self, steps: int) -> None:
        """Tell infos of one row a step from those of one row an episode; note what is left behind."""
        self._labels: dict[str, str] = {}  # label -> array
        self._vectors: dict[str, str] = {}
        self._per_episode: dict[str, np.ndarray] = {}
        for key in self._file.arrays("infos") if self._file.has("infos") else []:
            shape, name = self._file.shape(key), self._label_name(key)
            if self._file.array(key).dtype.kind not in "fiub":
                self.notes.append(f"'{key}' holds no numbers; not taken over")
            elif shape == (steps,):
                self._labels[name] = key
            elif shape[:1] == (steps,) and len(shape) == 2:
                self._vectors[name] = key
            elif shape[:1] == (len(self),):
                self._per_episode[key] = self._file.numbers(key)
            else:
                self.notes.append(f"'{key}' {shape} is neither one row a step nor an episode; not taken over")
        known = {*REQUIRED, "next_observations", "infos"}
        for key in sorted(set(self._file.keys()) - known):
            if layout.is_clock(key) and self._file.is_series(key) and self._file.shape(key) == (steps,):
                self._labels[f"source.{key}"] = key
                known.add(key)
        ignored = sorted(set(self._file.keys()) - known)
        if ignored:
            self.notes.append(f"not taken over: {', '.join(ignored)}")

    def _label_name(self, key: str) -> str:
        """What an array of `infos` is called in the dataset: as before our export, where it is from one."""
        names = self._own.get("infos")
        told = names.get(key) if isinstance(names, dict) else None
        return told if isinstance(told, str) else key.replace("/", ".")

    def _settings(self) -> dict[str, Any]:
        for name in (*self._labels, *self._vectors):
            layout.check_name(name, f"{self.path}: infos")
        sizes = [self._file.shape(key)[1] for key in ("observations", "actions")]
        vectors = {name: self._file.shape(key)[1] for name, key in self._vectors.items()}
        return {
            "fps": self._fps,
            "state_names": names_told(self._own, "state_names", _numbered("state", sizes[0])),
            "action_names": names_told(self._own, "action_names", _numbered("action", sizes[1])),
            "robot_type": str(self._own.get("robot_type") or "unknown"),
            "labels": [name for name in self._labels if name != layout.SUCCESS],
            "vectors": {name: [f"{name}_{i}" for i in range(size)] for name, size in vectors.items()},
            "metadata": {
                "source": {"format": "D4RL", "name": self.path.name, "keys": self._file.keys()},
                **(unit_words(self._own, *sizes) or self._attributed(*sizes)),
            },
        }

    def _attributed(self, state: int, action: int) -> dict[str, list[str]]:
        """Units that the arrays have as attributes."""
        told = {
            "state_units": self._file.units("observations", state),
            "action_units": self._file.units("actions", action),
        }
        return unit_words(told, state, action)

    def where(self, index: int) -> str:
        """The file and the episode's rows in it."""
        return f"{self.path}: episode {index} (rows {self._starts[index]} to {self._ends[index] - 1})"

    def episode(self, index: int) -> Episode:
        """One episode of the file."""
        rows = slice(int(self._starts[index]), int(self._ends[index]))
        observations = {"state": self._floats("observations", rows)}
        observations |= {name: self._floats(key, rows) for name, key in self._vectors.items()}
        last = slice(rows.stop - 1, rows.stop)
        known = self._final and index not in (self._own.get("final_unknown") or ())
        final = {"state": self._floats("next_observations", last)[0]} if known else None
        infos = {key: array[index].tolist() for key, array in self._per_episode.items()}
        labels = {
            name: seconds(self._rows(key, rows)) if layout.is_clock(name) else self._floats(key, rows)
            for name, key in self._labels.items()
        }
        success = labels.pop(layout.SUCCESS, None)
        return Episode(
            observations,
            self._floats("actions", rows),
            self._tasks[index],
            self._fps,
            self._floats("rewards", rows),
            None if success is None else success > 0,
            terminated=bool(self._terminals[rows.stop - 1]),
            final_observation=final,
            labels=labels,
            metadata={"source_rows": [rows.start, rows.stop], **infos},
        )

    def _floats(self, key: str, rows: slice) -> np.ndarray:
        return floats(self._rows(key, rows))


def _numbered(stem: str, size: int) -> list[str]:
    return [f"{stem}_{i}" for i in range(size)]
