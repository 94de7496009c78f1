"""A training run on disk: its log, and the state from which it continues bit for bit after a kill."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import SPEC, write_atomically

LOG = "train.jsonl"
_STATE = "state/state.safetensors"
_GENERATOR = "generator"
IDENTITY = ("config", "description", "data_hash")  # of the log's first line: what must stay the same


class RunFolder:
    """The folder of one run; its log's first line says what run it is, the others are {"step": ...}.

    Entries of the config named in `free` may differ when the run is continued.
    """

    def __init__(self, root: Path, log: str = LOG, free: Collection[str] = ()):
        self.root, self._log, self._free = root, root / log, free

    @property
    def finished(self) -> bool:
        """Whether the checkpoint is there."""
        return (self.root / SPEC).exists()

    def begin(self, head: Mapping[str, Any]) -> None:
        """Start the log with `head`, or make sure that the run in this folder began alike; raises BadInput.

        `head` has the keys of IDENTITY besides others.
        """
        old = self.head()
        if old is None:
            if self.finished:
                raise BadInput(f"{self.root} holds a policy but no {self._log.name}; choose another folder")
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(self._log, _line(head))
            return
        now = json.loads(_line(head))
        old["config"] = {**old["config"], **{n: now["config"][n] for n in self._free if n in now["config"]}}
        changed = [change for key in ("config", "description") for change in _changes(old[key], now[key])]
        if changed:
            raise BadInput(f"{self.root} holds a run with {'; '.join(changed)}; choose another folder")
        if old["data_hash"] != now["data_hash"]:
            raise BadInput(f"{self.root} holds a run on other transitions; choose another folder")

    def log(self, row: Mapping[str, Any]) -> None:
        """Add one line to the log."""
        with self._log.open("ab") as file:
            file.write(_line(row))

    def save_state(self, tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> None:
        """Save a learner's tensors, "step" among them, and the random generator over the last state."""
        path = self.root / _STATE
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, save({**tensors, _GENERATOR: generator.get_state()}))

    def restore(self, generator: torch.Generator) -> dict[str, torch.Tensor] | None:
        """Return the saved tensors and set the generator, or None; forgets what was logged after them."""
        tensors = self.read_state()
        if tensors is not None:
            generator.set_state(tensors.pop(_GENERATOR))
        self._cut_log(-1 if tensors is None else int(tensors["step"]))
        return tensors

    def read_state(self) -> dict[str, torch.Tensor] | None:
        """The saved tensors, the generator's among them, or None; raises BadInput for a damaged file."""
        path = self.root / _STATE
        if not path.exists():
            return None
        try:
            tensors = load(path.read_bytes())
        except SafetensorError as error:
            raise BadInput(f"{path} is not a saved state ({error}); remove {path.parent}") from error
        if not {_GENERATOR, "step"} <= set(tensors):
            raise BadInput(f"{path} is not a saved state (it has no generator or step); remove {path.parent}")
        return tensors

    def drop_state(self) -> None:
        """Remove the state of a finished run that nothing will continue."""
        folder = (self.root / _STATE).parent
        if folder.exists():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    def head(self) -> dict[str, Any] | None:
        """The log's first line, None without a log; raises BadInput where it is not a run's."""
        path = self._log
        if not path.exists():
            return None
        rows = _rows(path)
        if not rows or not set(IDENTITY) <= set(rows[0]):
            raise BadInput(f"{path} is not the log of a training run; choose another folder")
        return rows[0]

    def rows(self) -> list[dict[str, Any]]:
        """The log's lines after the first."""
        return _rows(self._log)[1:]

    def _cut_log(self, step: int) -> None:
        """Keep the head and the rows up to `step`; a killed run may have logged more, or half a line."""
        head, *rows = _rows(self._log)
        kept = [head, *(row for row in rows if row["step"] <= step)]
        write_atomically(self._log, b"".join(map(_line, kept)))


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which values differ, shortly."""
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return [f"{n} {str(was.get(n))[:40]} (asked for {str(now.get(n))[:40]})" for n in names]


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row) + "\n").encode()


def _rows(path: Path) -> list[dict[str, Any]]:
    """The log's rows up to the first that is not whole."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
