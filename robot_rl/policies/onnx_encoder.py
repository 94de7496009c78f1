"""Writes an encoder as an ONNX file, so that a robot sees with numpy and onnxruntime alone."""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn

from robot_rl.errors import need_installed

OPSET = 13  # as of policy.onnx: runtimes on robots are old
PICTURES, FEATURES = "pictures", "features"


def encoder_to_onnx(net: nn.Module, size: int) -> bytes:
    """The graph of a network from "pictures" (N, size, size, 3) uint8 to "features" (N, D) float32."""
    need_installed("onnx", "onnx")  # which torch's exporter calls
    was_training, content = net.training, io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that replaces this one needs another package and writes opset 18 and above.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),
            (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
            content,
            input_names=[PICTURES],
            output_names=[FEATURES],
            dynamic_axes={PICTURES: {0: "N"}, FEATURES: {0: "N"}},
            opset_version=OPSET,
            dynamo=False,
        )
    net.train(was_training)
    return content.getvalue()
