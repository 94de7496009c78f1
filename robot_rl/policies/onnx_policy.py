"""The policy that runs on the robot from policy.onnx: numpy and onnxruntime only, no torch.

`onnx_export` writes the file beside the checkpoint's policy.json, which says what goes in and comes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.errors import BadInput, need
from robot_rl.policies.checkpoint import SPEC, PolicySpec, load_spec
from robot_rl.policies.policy import checked_state

ONNX = "policy.onnx"
INPUT, OUTPUT = "state", "action"
# What the graph was built from; each is written into it and must be the same in policy.json.
BUILT_FROM = (
    "state_names",
    "state_units",
    "state_mean",
    "state_std",
    "action_names",
    "action_units",
    "action_low",
    "action_high",
    "hidden",
    "weights_hash",
)
_AGAIN = "export the run again (robot-rl export RUN)"


class OnnxPolicy:
    """A policy.onnx in onnxruntime: raw states in, actions in their units and limits out."""

    def __init__(self, content: bytes, spec: PolicySpec, where: str = ONNX):
        """Start a session on the file's content; raises BadInput naming `where` and what does not fit."""
        self.spec = spec
        self._session = session(content, where)
        _check_fits(self._session, spec, where)

    @classmethod
    def load(cls, folder: str | Path) -> OnnxPolicy:
        """Load policy.onnx and policy.json of a checkpoint folder; raises BadInput."""
        spec, path = load_spec(folder), Path(folder) / ONNX
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path} cannot be read ({error.strerror}); {_AGAIN}") from error
        return cls(content, spec, str(path))

    def act(self, observation: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
        """Choose the action (A,) float32 for a state (S,), or (B, A) for (B, S), in the spec's units.

        An observation is the state itself or a mapping with "state". Raises BadInput for a wrong size or a
        value that is not finite, so that no command is computed from it.
        """
        state = checked_state(observation, self.spec.state_names)
        actions = self._session.run([OUTPUT], {INPUT: np.atleast_2d(state)})[0]
        return actions if state.ndim == 2 else actions[0]

    def reset(self) -> None:
        """Nothing to forget."""


def written(spec: PolicySpec) -> dict[str, str]:
    """What a graph says of the policy that it was built from: field to JSON."""
    fields = spec.model_dump(mode="json")
    return {name: json.dumps(fields[name]) for name in BUILT_FROM}


def session(content: bytes, where: str, remedy: str = _AGAIN) -> Any:
    """An onnxruntime session on one thread: a network this small is slower with more; raises BadInput."""
    runtime = need("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it finds wrong is raised anyway, and told in one line below
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # onnxruntime's errors have no base class of their own; those that are not its own are not for the user.
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise BadInput(f"{where}: not a graph that onnxruntime can run; {remedy}") from error


def _check_fits(session: Any, spec: PolicySpec, where: str) -> None:
    """Raise BadInput unless inputs, outputs and what the graph was built from are those of policy.json."""
    for kind, found, name, size in (
        ("input", session.get_inputs(), INPUT, len(spec.state_names)),
        ("output", session.get_outputs(), OUTPUT, len(spec.action_names)),
    ):
        told = [(one.name, one.type, one.shape[1:]) for one in found]
        if told != [(name, "tensor(float)", [size])]:
            raise BadInput(
                f"{where}: {kind} is {told}; {SPEC} calls for '{name}', float, (N, {size}): {_AGAIN}"
            )
    told = session.get_modelmeta().custom_metadata_map
    for name, value in written(spec).items():
        if told.get(name) != value:
            raise BadInput(
                f"{where}: {name} is {told.get(name, 'absent')[:80]}, but {SPEC} says {value[:80]}; {_AGAIN}"
            )
