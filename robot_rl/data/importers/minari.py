"""Reads Minari datasets from disk, without Minari: HDF5, Arrow or Parquet, with Dict and Tuple spaces.

The layout is that of Minari 0.5: `data/metadata.json` beside `data/main_data.hdf5` or `data/<episode>/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data import layout
from robot_rl.data.episode import IMAGE, Episode
from robot_rl.data.importers.clocks import seconds, unit_words
from robot_rl.data.importers.minari_storage import open_storage
from robot_rl.data.importers.source import (
    Options,
    describe,
    floats,
    join_parts,
    json_object,
    names_of,
    parts_of,
    rate,
)  # fmt: skip
from robot_rl.data.video import Chosen
from robot_rl.errors import BadInput

DEFAULT_FPS = 10.0  # Hz; only where the environment's specification does not say it


class MinariSource:
    """A Minari folder; numbers of the observation make the state, in the space's order, pictures cameras."""

    def __init__(self, root: Path, options: Options):
        """Open `root` (the folder that holds `data/`, or that folder itself)."""
        self.root, self._options = root, options
        self.folder = root / "data" if (root / "data/metadata.json").is_file() else root
        self.notes: list[str] = []
        self._meta = layout.read_json(self.folder / "metadata.json")
        self._space = self._read_space("observation_space")
        self._action_space = self._read_space("action_space")
        self._fps, self._task = self._rate(), self._read_task()
        own = self._meta.get("robot_rl")
        self._rewards = not isinstance(own, dict) or own.get("rewards") is not False
        self._storage = open_storage(self.folder, self._meta)
        try:
            self._load()
        except BaseException:
            self._storage.close()
            raise

    def __enter__(self) -> MinariSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._storage.close()

    def __len__(self) -> int:
        return len(self._storage.episodes)

    def _read_space(self, name: str) -> dict[str, dict[str, Any]]:
        """The leaves of a space by their path ("" for a space that is a leaf itself)."""
        where = f"{self.folder / 'metadata.json'}: {name}"
        space = self._meta.get(name)
        if not isinstance(space, dict):
            space = json_object(space, where)
        return dict(leaves(space, "", where))

    def _spec(self) -> dict[str, Any]:
        try:
            spec = json.loads(self._meta.get("env_spec") or "{}")
        except (ValueError, TypeError, RecursionError):
            return {}
        return spec if isinstance(spec, dict) else {}

    def _rate(self) -> float:
        own = self._meta.get("robot_rl") if isinstance(self._meta.get("robot_rl"), dict) else {}
        if own.get("fps") is not None:
            self._options.refuse_rate(self.root, "metadata.json")
            return rate(own["fps"], f"{self.folder}/metadata.json: robot_rl.fps")
        if self._options.fps is None:
            self.notes.append(f"the data set does not say the rate; {DEFAULT_FPS:g} Hz is assumed (fps)")
        return self._options.fps or DEFAULT_FPS

    def _read_task(self) -> str | None:
        own = self._meta.get("robot_rl") if isinstance(self._meta.get("robot_rl"), dict) else {}
        if self._options.task or own.get("tasks"):
            return self._options.task
        hint = f" (its environment is '{self._spec()['id']}')" if self._spec().get("id") else ""
        return self._options.task_or_refuse(self.root, "the data set", hint)

    def _load(self) -> None:
        shapes, self._cameras = {}, {}
        for key, leaf in self._space.items():
            shape = tuple(leaf["shape"])
            if leaf["picture"]:
                self._cameras[layout.safe_name(key or "camera")] = key
            elif leaf["numeric"]:
                shapes[key] = shape or (1,)
            else:
                self.notes.append(f"observation '{key}' ({leaf['type']}) is no numbers; not taken over")
        where = f"{self.folder}/metadata.json"
        if len({layout.safe_name(k or "camera") for k in self._cameras.values()}) < len(self._cameras):
            raise BadInput(f"{where}: two pictures of the observation would have the same name; rename one")
        self._state = parts_of(shapes, "state", where) if shapes else []
        if not self._state:
            self.notes.append("the observation is pictures alone; the state is one zero (no_state)")
        actions = {k: tuple(v["shape"]) or (1,) for k, v in self._action_space.items() if v["numeric"]}
        self._action = parts_of(actions, "action", where)
        if any(leaf["type"] == "Discrete" for leaf in self._action_space.values()):
            self.notes.append("actions are discrete; their numbers are taken as they are")
        try:
            clocks = self._storage.read(0)["clocks"]
        except BadInput:  # told when the episode is read, which may be left out
            clocks = {}
        self._clocks = [f"source.{key}" for key in clocks if layout.safe_name(key) == key]
        self.settings = self._settings()

    def _settings(self) -> dict[str, Any]:
        own = self._meta.get("robot_rl") if isinstance(self._meta.get("robot_rl"), dict) else {}
        names, actions = own.get("state_names"), own.get("action_names")
        state_names = names_of(self._state) or ["no_state"]
        action_names = names_of(self._action)
        kept = {
            k: v for k, v in self._meta.items() if k not in ("robot_rl", "observation_space", "action_space")
        }
        return {
            "fps": self._fps,
            "state_names": list(map(str, names))
            if isinstance(names, list) and len(names) == len(state_names)
            else state_names,
            "action_names": list(map(str, actions))
            if isinstance(actions, list) and len(actions) == len(action_names)
            else action_names,
            "cameras": {
                n: self._options.resize or tuple(self._space[k]["shape"][:2])
                for n, k in self._cameras.items()
            },
            "robot_type": str(own.get("robot_type") or "unknown"),
            "labels": self._clocks,
            "metadata": {
                "source": {
                    "format": "Minari",
                    "name": self.root.resolve().name,
                    "state_parts": describe(self._state),
                    "action_parts": describe(self._action),
                    "cameras": self._cameras,
                    "metadata": kept,
                },
                **({} if self._state else {"placeholders": ["state"]}),
                **unit_words(own, len(state_names), len(action_names)),
            },
        }

    def where(self, index: int) -> str:
        """The episode's place in the storage."""
        return self._storage.where(index)

    def episode(self, index: int) -> Episode:
        """One episode; the observation after the last action is the final one."""
        found, where = self._storage.read(index), self.where(index)
        actions = join_parts(self._action, self._pick(found["actions"], self._action, where), where)
        steps = len(actions)
        if self._state:
            states = join_parts(self._state, self._pick(found["observations"], self._state, where), where)
        else:
            states = np.zeros((steps + 1, 1), np.float32)
        if len(states) != steps + 1:
            raise BadInput(f"{where}: {len(states)} observations of {steps} actions; there must be one more")
        observations: dict[str, Any] = {"state": states[:-1]}
        own = found["attributes"]
        known = own.pop("final_observation", True)
        final = {"state": states[-1]} if self._state and known else {}
        for name, key in self._cameras.items():
            frames = self._storage.pictures(found["observations"], key, self._space[key]["shape"], where)
            if len(frames) != steps + 1:
                raise BadInput(f"{where}: {len(frames)} pictures of {steps} actions; there must be one more")
            observations[IMAGE + name] = self._options.sized(Chosen(frames, np.arange(steps)))
            if known:
                final[IMAGE + name] = self._options.sized(frames[-1:])[0]
        return Episode(
            observations,
            actions,
            self._task or str(own.pop("task", "") or "unknown task"),
            self._fps,
            floats(self._row(found, "rewards", steps, where)) if self._rewards else None,
            self._row(found, "infos/success", steps, where).astype(bool)
            if "infos/success" in found
            else None,
            bool(self._row(found, "terminations", steps, where)[-1:].any()),
            final or None,
            {name: self._stamps(found, name, steps, where) for name in self._clocks},
            metadata={"source_episode": int(index), **own},
        )

    def _row(self, found: Mapping[str, Any], key: str, steps: int, where: str) -> np.ndarray:
        values = np.asarray(found[key]).reshape(-1)
        if key == "infos/success" and len(values) == steps + 1:
            values = values[1:]  # infos have one row for the reset
        if len(values) != steps:
            raise BadInput(f"{where}: '{key}' has {len(values)} values, but there are {steps} actions")
        return values

    def _stamps(self, found: Mapping[str, Any], name: str, steps: int, where: str) -> np.ndarray:
        """The time stamps of an episode's steps; infos have one row more, for the last observation."""
        values = np.asarray(found["clocks"].get(name.removeprefix("source."), ()))
        if len(values) < steps:
            self.notes.append(f"{where}: has {len(values)} time stamps in infos; steps of 1 / fps stand in")
            return (np.arange(steps) / self._fps).astype(np.float32)
        return seconds(values[:steps])

    def _pick(self, arrays: Mapping[str, Any], parts: list, where: str) -> dict[str, np.ndarray]:
        for part in parts:
            if part.key not in arrays:
                raise BadInput(f"{where}: has no '{part.key}', which the space in metadata.json names")
        return {part.key: self._storage.numbers(arrays[part.key], part.shape, where) for part in parts}


def leaves(space: Any, path: str, where: str, depth: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """(path, description) of a serialised Gymnasium space's leaves, in the space's order."""
    if not isinstance(space, dict) or not isinstance(space.get("type"), str) or depth > 20:
        raise BadInput(f"{where}: '{path or 'the space'}' is no serialised Gymnasium space; fetch it again")
    kind, inner = space["type"], space.get("subspaces")
    if kind in ("Dict", "Tuple"):
        if not isinstance(inner, dict if kind == "Dict" else list):
            raise BadInput(f"{where}: '{path or 'the space'}' has no subspaces; fetch it again")
        items = inner.items() if kind == "Dict" else ((f"_index_{i}", s) for i, s in enumerate(inner))
        return [x for k, s in items for x in leaves(s, f"{path}/{k}".strip("/"), where, depth + 1)]
    shape = {"Discrete": [], "MultiBinary": _list(space.get("n")), "MultiDiscrete": _shape(space.get("nvec"))}
    shape = shape.get(kind, space.get("shape", []))
    if not isinstance(shape, list) or not all(isinstance(n, int) and 0 < n < 2**31 for n in shape):
        raise BadInput(
            f"{where}: '{path or 'the space'}' has the shape {shape!r}; it must be positive numbers"
        )
    picture = kind == "Box" and space.get("dtype") == "uint8" and len(shape) == 3 and shape[2] == 3
    numeric = kind in ("Box", "Discrete", "MultiBinary", "MultiDiscrete")
    return [(path, {"type": kind, "shape": shape, "picture": picture, "numeric": numeric})]


def _list(n: Any) -> Any:
    return n if isinstance(n, list) else [n]


def _shape(nvec: Any) -> Any:
    return list(np.shape(nvec)) if isinstance(nvec, list) else nvec
