"""`robot-rl export`: adds policy.onnx to a checkpoint, for a robot without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Config:
    """Add policy.onnx to a checkpoint: raw states in, actions in their units out, tried before it is kept."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the checkpoint (policy.json and weights.safetensors)."""


def main(config: Config) -> None:
    """Export, and print where the file is and how near its actions are to the checkpoint's."""
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.policies.onnx_export import IR_VERSION, OPSET, export_onnx
    from robot_rl.policies.onnx_policy import INPUT, ONNX, OUTPUT

    difference = export_onnx(config.run)
    spec, path = load_spec(config.run), config.run / ONNX
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB, ONNX opset {OPSET}, IR version {IR_VERSION}")
    print(
        f"input '{INPUT}' (N, {len(spec.state_names)}) float32: {_parts(spec.state_names, spec.state_units)}"
    )
    print(f"output '{OUTPUT}' (N, {len(spec.action_names)}): {_parts(spec.action_names, spec.action_units)}")
    print(f"its actions differ from the checkpoint's by at most {difference:.1e} of their range")


def _parts(names: tuple[str, ...], units: tuple[str, ...]) -> str:
    return ", ".join(f"{name} [{unit or '?'}]" for name, unit in zip(names, units, strict=True))
