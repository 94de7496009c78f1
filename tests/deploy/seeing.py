"""Small policies that see: one action from the mean red of a camera's pictures, 8x8 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.policies.checkpoint import save_checkpoint
from tests.deploy.test_interface import EYE, FITS
from tests.policies.helpers import make_spec


def mean_red() -> bytes:
    """An encoder (ONNX) from "pictures" (N, 8, 8, 3) to "features" (N, 1)."""
    from onnx import TensorProto, checker, helper

    nodes = [
        helper.make_node("Cast", ["pictures"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["colours"], axes=[1, 2], keepdims=0),
        helper.make_node("Slice", ["colours", "begin", "end", "axes"], ["features"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("begin", 0), ("end", 1), ("axes", 1))
    ]
    takes = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["N", 8, 8, 3])
    gives = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 1])
    graph = helper.make_graph(nodes, "mean_red", [takes], [gives], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    checker.check_model(model)
    return model.SerializeToString()


def seeing_checkpoint(folder: Path, gain: float = 1.0, **changes: object) -> Path:
    """A policy that wishes tanh(gain * red / 255), whatever the state."""
    eye = EYE | {"feature_std": (255.0,)}
    fields = {"hidden": [], "images": [eye], "observation_keys": ["state", "image.side"]}
    spec = make_spec(**FITS | fields | changes)
    weights = {"layer0.weight": np.array([[0.0], [gain]]), "layer0.bias": np.zeros(1), "log_std": np.zeros(1)}
    return save_checkpoint(folder, weights, spec, {"e.onnx": mean_red()})
