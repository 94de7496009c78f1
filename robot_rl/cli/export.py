"""`robot-rl export`: a checkpoint gets policy.onnx; a dataset is written in another library's format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_rl.cli.common import progress_so_far
from robot_rl.errors import BadInput

INTERRUPTED = "nothing was written; run the same command again"


@dataclass(frozen=True)
class Config:
    """Add policy.onnx to a checkpoint, or write a dataset for robomimic, D4RL, Minari or d3rlpy."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|DATASET")]
    """Folder of the checkpoint (policy.json and weights.safetensors) or of the dataset; it is only read."""
    out: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[OUT]")] = None
    """For a dataset: the new file (robomimic, d4rl, d3rlpy) or folder (minari)."""
    format: Literal["robomimic", "d4rl", "minari", "d3rlpy", "lerobot"] | None = None
    """For a dataset: the format; for lerobot, a copy of the folder will do, as it is a LeRobotDataset v3."""


def main(config: Config) -> None:
    """Export a checkpoint or a dataset, whichever the folder holds."""
    if (config.run / "meta/info.json").is_file():
        _export_dataset(config)
    elif config.format is not None or config.out is not None:
        raise BadInput(
            f"{config.run} is no dataset: it has no meta/info.json; --format and OUT are for datasets"
        )
    else:
        _export_policy(config.run)


def _export_dataset(config: Config) -> None:
    from robot_rl.data.exporters import FORMATS, export_dataset
    from robot_rl.data.store import Dataset

    if config.format is None or config.out is None:
        raise BadInput(
            f"{config.run} is a dataset; say where to and how: "
            f"robot-rl export {config.run} OUT --format {'|'.join(FORMATS)}"
        )
    with progress_so_far("export", "episodes") as report:
        done = export_dataset(Dataset.open(config.run), config.out, config.format, report)
    print(f"{done.path}: {done.episodes} episodes, {done.frames} frames as {done.format}")
    for note in done.notes:
        print(f"note: {note}")


def _export_policy(run: Path) -> None:
    """Write policy.onnx, and print where it is and how near its actions are to the checkpoint's."""
    from robot_rl.policies.checkpoint import load_spec
    from robot_rl.policies.onnx_export import IR_VERSION, OPSET, export_onnx
    from robot_rl.policies.onnx_policy import INPUT, ONNX, OUTPUT

    difference = export_onnx(run)
    spec, path = load_spec(run), run / ONNX
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB, ONNX opset {OPSET}, IR version {IR_VERSION}")
    print(
        f"input '{INPUT}' (N, {len(spec.state_names)}) float32: {_parts(spec.state_names, spec.state_units)}"
    )
    print(f"output '{OUTPUT}' (N, {len(spec.action_names)}): {_parts(spec.action_names, spec.action_units)}")
    print(f"its actions differ from the checkpoint's by at most {difference:.1e} of their range")


def _parts(names: tuple[str, ...], units: tuple[str, ...]) -> str:
    return ", ".join(f"{name} [{unit or '?'}]" for name, unit in zip(names, units, strict=True))
