"""Reads robomimic HDF5 files (robosuite, LIBERO, MimicGen, ...): one group for each demonstration."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode, Frames
from robot_rl.data.importers.clocks import seconds, unit_words
from robot_rl.data.importers.hdf5 import Hdf5Frames
from robot_rl.data.importers.hdf5_source import Hdf5Source, json_words, names_told
from robot_rl.data.importers.source import (
    Part,
    describe,
    floats,
    join_parts,
    names_of,
    parts_of,
)
from robot_rl.errors import BadInput

_DEMO = re.compile(r"demo_(\d+)")


class RobomimicSource(Hdf5Source):
    """One robomimic file: vectors of `obs/` in the order of their names make the state, pictures cameras."""

    default_fps = 20.0  # robosuite's default

    def __len__(self) -> int:
        return len(self._demos)

    def _load(self) -> None:
        file = self._file
        numbered = sorted((int(m[1]), m[0]) for m in map(_DEMO.fullmatch, file.keys("data")) if m)
        self._demos = [name for _, name in numbered]
        if not self._demos:
            raise BadInput(f"{self.path}: 'data' holds no group demo_0, demo_1, ...; fetch the file again")
        self._attributes = file.attributes("data", ("env_args", "problem_info", "robot_rl"))
        self._env = self._json("env_args")
        told = (self._env.get("env_kwargs") or {}).get("control_freq") or self._env.get("control_freq")
        where = f"{self.path}: env_args: control_freq"
        self._fps = self._rate(told, "env_args (control_freq)", where)
        self._sort_observations(f"data/{self._demos[0]}")
        self._keys = self._filter_keys()
        self._rewards = all(file.is_array(f"data/{demo}/rewards") for demo in self._demos)
        self._success = all(file.is_array(f"data/{demo}/success") for demo in self._demos)
        self.settings = self._settings()
        self._task(0)  # refuses at once where there is none

    def _json(self, name: str) -> dict[str, Any]:
        """An attribute of `data` that holds JSON; nothing where it is absent or no JSON object."""
        words = json_words(self._attributes.get(name))
        if words is None:
            self.notes.append(f"the attribute '{name}' of 'data' is no JSON; it is not used")
        return words or {}

    def _sort_observations(self, demo: str) -> None:
        """Decide by the first demonstration what is part of the state and what a camera."""
        file, shapes = self._file, {}
        own = self._json("robot_rl").get("vectors") or []  # of an export of ours
        self._vectors = {key: key for key in ("states",) if file.is_array(f"{demo}/{key}")}
        self._cameras: dict[str, str] = {}  # camera name -> array below a demonstration
        for path in file.arrays(f"{demo}/obs"):
            key = path.removeprefix(f"{demo}/obs/")
            if file.is_picture(path):
                name = layout.safe_name(key)
                if name in self._cameras:
                    raise BadInput(f"{self.path}: two pictures of 'obs' would be called '{name}'; rename one")
                self._cameras[name] = f"obs/{key}"
            elif key in own:
                self._vectors[key] = f"obs/{key}"
            elif file.array(path).dtype.kind in "fiub" and file.array(path).ndim in (1, 2):
                shapes[key] = file.shape(path)[1:] or (1,)
            else:
                self.notes.append(f"'obs/{key}' {file.shape(path)} is neither vector nor RGB; not taken over")
        # In the order in which an export of ours wrote them, if it did.
        order = [part.get("key") for part in self._json("robot_rl").get("state_parts", [])]
        shapes = {
            key: shapes[key] for key in sorted(shapes, key=lambda k: order.index(k) if k in order else -1)
        }
        self._state = self._parts(shapes, demo)
        self._action = parts_of(
            {"actions": file.shape(f"{demo}/actions")[1:] or (1,)}, "action", str(self.path)
        )
        for part in self._state:
            self._vectors.pop(part.key, None)
        self._labels = [key.removeprefix(f"{demo}/labels/") for key in file.arrays(f"{demo}/labels")]
        known = {"actions", "rewards", "dones", "obs", "next_obs", "states", "success", "labels"}
        self._clocks = self._find_clocks(demo)
        ignored = set(file.keys(demo)) - known - set(self._clocks.values())
        if ignored:
            self.notes.append(f"not taken over: {', '.join(sorted(ignored))}")
        if file.has_attribute(demo, "model_file"):
            self.notes.append("the simulator's model of each demonstration (model_file) is not taken over")

    def _find_clocks(self, demo: str) -> dict[str, str]:
        """{label: array of a demonstration} of the time stamps beside its observations."""
        found = [key for key in self._file.keys(demo) if layout.is_clock(key)]
        there = [key for key in found if all(self._file.is_series(f"data/{d}/{key}") for d in self._demos)]
        return {f"source.{key}": key for key in there}

    def _parts(self, shapes: dict[str, tuple[int, ...]], demo: str) -> list[Part]:
        """Parts of the state; the simulator's own state where there are pictures alone."""
        if not shapes:
            if not self._file.is_array(f"{demo}/states"):
                raise BadInput(
                    f"{self.path}: {demo} has neither vectors in 'obs' nor 'states'; add one of them"
                )
            self.notes.append("'obs' has no vectors; the simulator's 'states' are taken as the state")
            shapes = {"states": self._file.shape(f"{demo}/states")[1:] or (1,)}
            return parts_of(shapes, "state", str(self.path))
        return parts_of(shapes, "state", str(self.path))

    def _filter_keys(self) -> dict[str, list[str]]:
        """The names of the subsets (`mask/train`, ...) that hold each demonstration."""
        found: dict[str, list[str]] = {}
        for path in self._file.arrays("mask"):
            array = self._file.array(path)
            values = array[:].ravel().tolist() if array.dtype.kind in "SO" else []
            for demo in values:
                name = demo.decode("utf-8", "replace") if isinstance(demo, bytes) else str(demo)
                found.setdefault(name, []).append(path.removeprefix("mask/"))
        return found

    def _settings(self) -> dict[str, Any]:
        first, file = f"data/{self._demos[0]}", self._file
        own = self._json("robot_rl")
        sizes = {n: self._options.resize or file.shape(f"{first}/{k}")[1:3] for n, k in self._cameras.items()}
        names, actions = names_of(self._state), names_of(self._action)
        widths = {name: file.numbers(f"{first}/{key}").shape for name, key in self._vectors.items()}
        return {
            "fps": self._fps,
            "state_names": names_told(own, "state_names", names),
            "action_names": names_told(own, "action_names", actions),
            "cameras": sizes,
            "robot_type": self._robot(),
            "vectors": {k: [f"{k}_{i}" for i in range((*shape, 1)[1])] for k, shape in widths.items()},
            "labels": [*self._labels, *self._clocks],
            "metadata": {
                "source": {
                    "format": "robomimic",
                    "name": self.path.name,
                    "state_parts": describe(self._state),
                    "cameras": self._cameras,
                    "env_args": self._env,
                },
                **(unit_words(own, len(names), len(actions)) or self._attributed(first)),
            },
        }

    def _attributed(self, demo: str) -> dict[str, list[str]]:
        """Units that the arrays of a demonstration have as attributes."""
        homes = {p.key: demo if p.key == "states" else f"{demo}/obs" for p in self._state}
        state = [u for p in self._state for u in self._file.units(f"{homes[p.key]}/{p.key}", len(p.names))]
        action = self._file.units(f"{demo}/actions", len(names_of(self._action)))
        return unit_words({"state_units": state, "action_units": action}, len(state), len(action))

    def _robot(self) -> str:
        own = self._json("robot_rl").get("robot_type")
        if isinstance(own, str):
            return own
        robots = (self._env.get("env_kwargs") or {}).get("robots")
        robots = robots if isinstance(robots, list) else [robots] if robots else []
        return "+".join(map(str, robots)) or "unknown"

    def _task(self, index: int) -> str:
        """The user's words, else an instruction of the demonstration or of the whole file."""
        if self._options.task:
            return self._options.task
        words = ("lang", "language_instruction", "task", "ep_meta")
        attributes = self._file.attributes(f"data/{self._demos[index]}", words)
        try:
            meta = json.loads(attributes.get("ep_meta") or "{}")
        except (ValueError, TypeError, RecursionError):
            meta = {}
        told = [attributes.get("lang"), attributes.get("language_instruction"), attributes.get("task")]
        told += [meta.get("lang")] if isinstance(meta, dict) else []
        told += [self._json("problem_info").get("language_instruction"), self._env.get("lang")]
        for text in told:
            if isinstance(text, str) and text.strip():
                return text.strip()
        hint = f" (its environment is '{self._env['env_name']}')" if self._env.get("env_name") else ""
        return self._options.task_or_refuse(self.path, "the file", hint)

    def where(self, index: int) -> str:
        """The file and the demonstration's group."""
        return f"{self.path}: data/{self._demos[index]}"

    def episode(self, index: int) -> Episode:
        """One demonstration."""
        demo, file = f"data/{self._demos[index]}", self._file
        actions = join_parts(self._action, {"actions": file.numbers(f"{demo}/actions")}, self.where(index))
        steps = len(actions)
        observations: dict[str, Any] = {"state": self._state_of(demo, "obs", slice(None), index)}
        for name, key in self._vectors.items():
            values = file.numbers(f"{demo}/{key}")
            if len(values) != steps:
                raise BadInput(f"{self.where(index)}: '{key}' has {len(values)} rows; it needs {steps}")
            observations[name] = floats(values.reshape(steps, -1))
        for name, key in self._cameras.items():
            observations[IMAGE + name] = self._frames(demo, key, steps)
        terminated, success = self._ending(demo, steps)
        meta = {"source_key": self._demos[index]}
        if self._demos[index] in self._keys:
            meta["filter_keys"] = self._keys[self._demos[index]]
        return Episode(
            observations,
            actions,
            self._task(index),
            self._fps,
            floats(file.numbers(f"{demo}/rewards")) if self._rewards else None,
            success,
            terminated,
            self._final(demo, index),
            {name: floats(file.numbers(f"{demo}/labels/{name}")) for name in self._labels}
            | {name: seconds(file.numbers(f"{demo}/{key}")) for name, key in self._clocks.items()},
            metadata=meta,
        )

    def _state_of(self, demo: str, group: str, rows: slice, index: int) -> np.ndarray:
        folder = {
            p.key: f"{demo}/{p.key}" if p.key == "states" else f"{demo}/{group}/{p.key}" for p in self._state
        }
        arrays = {key: self._file.numbers(path, rows) for key, path in folder.items()}
        return join_parts(self._state, arrays, self.where(index))

    def _frames(self, demo: str, key: str, steps: int) -> Frames | np.ndarray:
        if not self._file.is_picture(f"{demo}/{key}") or self._file.shape(f"{demo}/{key}")[0] != steps:
            shape = self._file.shape(f"{demo}/{key}")
            raise BadInput(
                f"{self.path}: '{demo}/{key}' has the shape {shape}; it needs {steps} RGB pictures"
            )
        return self._options.sized(Hdf5Frames(self._file, f"{demo}/{key}", slice(0, steps)))

    def _ending(self, demo: str, steps: int) -> tuple[bool, np.ndarray | None]:
        """Whether the demonstration terminated, and its success where the file has it.

        robomimic's `dones` marks success, the end of the demonstration or both; here a last 1 is taken as a
        termination, as robomimic's own learners do.
        """
        file = self._file
        key = f"{demo}/dones"
        ended = bool(file.numbers(key)[-1:].any()) if file.is_array(key) else False
        success = file.numbers(f"{demo}/success").astype(bool) if self._success else None
        return ended, success

    def _final(self, demo: str, index: int) -> dict[str, np.ndarray] | None:
        """The last row of `next_obs`, as far as it is there."""
        file, final, last = self._file, {}, slice(-1, None)
        known = file.attributes(demo, ["final_observation"]).get("final_observation", True)
        if known and all(file.is_array(f"{demo}/next_obs/{p.key}") for p in self._state):
            final["state"] = self._state_of(demo, "next_obs", last, index)[0]
        for name, key in self._cameras.items():
            path = f"{demo}/next_{key}"
            if file.is_array(path) and file.is_picture(path):
                final[IMAGE + name] = self._options.sized(file.numbers(path, last))[0]
        return final or None
