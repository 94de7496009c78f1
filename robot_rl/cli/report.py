"""`robot-rl report`: one page on what a command left: a labeling, a training run or an online run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from robot_rl.report.page import Section


@dataclass(frozen=True)
class Config:
    """Write a self-contained HTML page on a labeling, a training run or an online run, and on its data."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder that `robot-rl label`, `train` or `finetune` wrote (label.json, train.jsonl or online.jsonl)."""
    policies: tuple[Path, ...] = ()
    """Folders of further policies; their action error on held-out episodes and their success are shown."""
    data: Path | None = None
    """Dataset that the run learned from, where it has moved since; default as the run says."""
    out: Path | None = None
    """The page; default RUN/report.html."""


def main(config: Config) -> None:
    """Write the page and print its path."""
    from robot_rl import __version__
    from robot_rl.cli.run_report import run_page
    from robot_rl.errors import BadInput
    from robot_rl.report.page import write_page

    if (config.run / "label.json").exists():
        title, subtitle, sections, seed = _labeling(config)
    elif any((config.run / name).exists() for name in ("train.jsonl", "online.jsonl", "queue.sqlite")):
        title, subtitle, sections, seed = run_page(config.run, config.data)
    else:
        raise BadInput(
            f"{config.run}: holds no label.json, train.jsonl or online.jsonl; `robot-rl label`, `train` or "
            "`finetune` writes one"
        )
    if config.policies:
        sections.append(policies_section(config.policies))
    out = config.out or config.run / "report.html"
    write_page(out, title, subtitle, sections, footer=f"robot_rl {__version__} · seed {seed}")
    print(out)


def _labeling(config: Config) -> tuple[str, str, list[Section], int]:
    """Title, subtitle, sections and seed of the page on a labeling."""
    from robot_rl.cli.label_report import labels_section, reward_section
    from robot_rl.cli.run_report import data_sections
    from robot_rl.data.store import Dataset
    from robot_rl.errors import BadInput
    from robot_rl.report.page import Callout, Section

    path = config.run / "label.json"
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: not a labeling ({type(error).__name__}); `robot-rl label` writes one"
        ) from error
    labeled = Dataset.open(config.run / "dataset")
    notes = [Callout("warn", note) for note in found["notes"]] or [
        Callout("info", f"Judge: {found['encoder']}.")
    ]
    sections = [
        Section("", *notes),
        labels_section(found, labeled, found["task"]),
        reward_section(labeled, found["camera"]),
        *data_sections(labeled, found["camera"]),
    ]
    subtitle = f"Labels by {found['labeler']} and the reward learned from them, on {config.run.name}."
    return found["task"], subtitle, sections, found["seed"]


def policies_section(policies: tuple[Path, ...]) -> Section:
    """List each policy's action error on held-out episodes and its success, where they were measured."""
    from robot_rl.errors import BadInput
    from robot_rl.report.page import Section, Table

    rows = []
    for folder in policies:
        if not (folder / "policy.json").exists():
            raise BadInput(f"{folder}: holds no policy.json; `robot-rl train` writes one")
        spec = json.loads((folder / "policy.json").read_text())
        error, success = read(folder / "action_error.json"), read(folder / "evaluation.json")
        rows.append([
            folder.name,
            spec["algorithm"],
            f"{error['rms_in_std']:.3f}" if error and error['rms_in_std'] is not None else None,
            f"{success['success']:.2f}" if success else None,
        ])  # fmt: skip
    caption = (
        "Action error: root mean square on held-out episodes, in standard deviations of each action part."
    )
    return Section(
        "Policies",
        Table(["Run", "Algorithm", "Action error", "Success"], rows, caption=caption, align="llrr"),
    )


def read(path: Path) -> dict | None:
    """What a result file holds, None where there is none."""
    return json.loads(path.read_text()) if path.exists() else None
