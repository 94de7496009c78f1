"""Where the lines of a run's log go besides its own file: TensorBoard, Weights & Biases."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robot_rl.errors import BadInput, need

Sink = Callable[[Mapping[str, float]], None]


@contextlib.contextmanager
def open_sinks(
    out: Path, about: Mapping[str, Any], *, tensorboard: bool = False, wandb: bool = False
) -> Iterator[Sink]:
    """Yield a function that takes the log's lines, {"step": …}, and writes them wherever was asked for.

    `about` is the run's config as plain values. Raises BadInput for what is not installed or not set up.
    """
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = []
        if tensorboard:
            sinks.append(stack.enter_context(_tensorboard(out)))
        if wandb:
            sinks.append(stack.enter_context(_wandb(out, about)))

        def write(row: Mapping[str, float]) -> None:
            for sink in sinks:
                sink(row)

        yield write


@contextlib.contextmanager
def _tensorboard(out: Path) -> Iterator[Sink]:
    need("tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(out / "tensorboard"))

    def write(row: Mapping[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, row["step"])
        writer.flush()

    try:
        yield write
    finally:
        writer.close()


@contextlib.contextmanager
def _wandb(out: Path, about: Mapping[str, Any]) -> Iterator[Sink]:
    """A run of Weights & Biases, continued where the folder's is; the account is wandb's own business.

    Neither the console nor code nor the repository's state is sent: they may hold what nobody meant to.
    """
    wandb = need("wandb", "wandb")
    out.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        console="off", save_code=False, disable_git=True, disable_code=True, disable_job_creation=True
    )
    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "robot_rl"),
            name=out.name,
            id=_run_id(out),
            resume="allow",
            dir=str(out),
            config=dict(about),
            settings=settings,
        )
    except wandb.errors.Error as error:
        raise BadInput(
            f"--wandb: {' '.join(str(error).split())[:200]}; log in (wandb login) or set WANDB_MODE=offline"
        ) from error

    def write(row: Mapping[str, float]) -> None:
        run.log({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))

    try:
        yield write
    finally:
        run.finish()


def _run_id(out: Path) -> str:
    """The id of the folder's run; a folder that is removed takes it along."""
    path = out / "wandb-id.txt"
    if not path.exists():
        path.write_text(uuid.uuid4().hex[:16] + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
