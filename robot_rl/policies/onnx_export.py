"""Writes policy.onnx into a checkpoint folder: the same actions as MlpPolicy, for a robot without torch.

The normaliser, the action limits and their units are inside the graph; nothing is kept before it was run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robot_rl.errors import BadInput, RobotRLError, need
from robot_rl.policies.checkpoint import PolicySpec, load_checkpoint, write_atomically
from robot_rl.policies.onnx_policy import INPUT, ONNX, OUTPUT, OnnxPolicy, written
from robot_rl.policies.policy import MlpPolicy

OPSET, IR_VERSION = 13, 7  # of ONNX 1.8 (2020): runtimes on robots are old
PARITY = 1e-5  # largest difference from MlpPolicy, in parts of an action's range
_STATES = 1000


def export_onnx(folder: str | Path) -> float:
    """Add policy.onnx to a checkpoint; returns its largest difference from MlpPolicy, of the action range.

    Raises BadInput for a broken checkpoint, RobotRLError where the difference is above 1e-5; then no file is
    written and one that was there stays.
    """
    folder = Path(folder)
    weights, spec = load_checkpoint(folder)
    if spec.images:
        raise BadInput(
            f"{folder}: its policy sees pictures, and its encoders are ONNX already; it runs with numpy and "
            "onnxruntime as it is (robot_rl.policies.image_policy.load_policy)"
        )
    content = build(weights, spec)
    difference = parity(OnnxPolicy(content, spec, str(folder / ONNX)), MlpPolicy(weights, spec))
    if not difference <= PARITY:
        raise RobotRLError(
            f"{folder / ONNX} is not written: its actions differ from the checkpoint's by {difference:.2g} "
            f"of their range, above {PARITY:g}; report this with the checkpoint"
        )
    write_atomically(folder / ONNX, content)
    return difference


def parity(policy: OnnxPolicy, like: MlpPolicy) -> float:
    """Largest difference of two policies' actions in parts of each action's range.

    Asked in random states: most as the data's are spread, some ten times as far.
    """
    spec, rng = like.spec, np.random.default_rng(0)
    spread = np.repeat([1.0, 10.0], [_STATES, _STATES // 10])[:, None]
    noise = rng.normal(size=(len(spread), len(spec.state_names))) * spread
    states = (np.array(spec.state_mean) + noise * np.array(spec.state_std)).astype(np.float32)
    scale = np.array(spec.action_high) - np.array(spec.action_low)
    return float((np.abs(policy.act(states) - like.act(states)) / scale).max())


def build(weights: Mapping[str, np.ndarray], spec: PolicySpec) -> bytes:
    """The serialised graph: input "state" (N, S) float32 in raw units, output "action" (N, A), clipped.

    It computes clip(low + (tanh(MLP((state - mean) / std)) + 1) / 2 * (high - low), low, high).
    """
    onnx, helper = need("onnx", "onnx"), need("onnx.helper", "onnx")
    constants = _constants(weights, spec)
    nodes = [helper.make_node(kind, list(inputs), [output]) for kind, inputs, output in _nodes(spec)]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["N", len(spec.state_names)])],
        [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["N", len(spec.action_names)])],
        [need("onnx.numpy_helper", "onnx").from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, producer_name="robot_rl", opset_imports=[opset], ir_version=IR_VERSION)
    helper.set_model_props(model, written(spec))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _constants(weights: Mapping[str, np.ndarray], spec: PolicySpec) -> dict[str, np.ndarray]:
    """What the graph holds: name to float32 array."""
    low, high = np.float32(spec.action_low), np.float32(spec.action_high)
    layers = {name: np.ascontiguousarray(a, np.float32) for name, a in weights.items() if name != "log_std"}
    return layers | {
        "mean": np.float32(spec.state_mean),
        "std": np.float32(spec.state_std),
        "low": low,
        "high": high,
        "range": high - low,
        "one": np.float32([1]),
        "half": np.float32([0.5]),
    }


def _nodes(spec: PolicySpec) -> list[tuple[str, tuple[str, ...], str]]:
    """The graph in order: (operator, inputs, output)."""
    nodes = [("Sub", (INPUT, "mean"), "centred"), ("Div", ("centred", "std"), "x0")]
    last = len(spec.hidden)
    for k in range(last + 1):
        nodes.append(("Gemm", (f"x{k}", f"layer{k}.weight", f"layer{k}.bias"), f"y{k}"))
        nodes.append(("Tanh" if k == last else "Relu", (f"y{k}",), f"x{k + 1}"))
    return [
        *nodes,
        ("Add", (f"x{last + 1}", "one"), "above_low"),
        ("Mul", ("above_low", "half"), "share"),
        ("Mul", ("share", "range"), "offset"),
        ("Add", ("low", "offset"), "unclipped"),
        ("Max", ("unclipped", "low"), "not_below"),
        ("Min", ("not_below", "high"), OUTPUT),
    ]
