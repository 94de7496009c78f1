"""`robot-rl report`: one page on a labeled dataset and on the policies that were trained on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Config:
    """Write a self-contained HTML page on a labeling and, if given, on policies trained on it."""

    labeling: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LABELING")]
    """Folder that `robot-rl label` wrote, with label.json and dataset/."""
    policies: tuple[Path, ...] = ()
    """Folders of policies; their action error on held-out episodes and their success are shown."""
    out: Path | None = None
    """The page; default LABELING/report.html."""


def main(config: Config) -> None:
    """Write the page and print its path."""
    from robot_rl import __version__
    from robot_rl.cli.label_report import labels_section, reward_section
    from robot_rl.data.store import Dataset
    from robot_rl.errors import BadInput
    from robot_rl.report.page import Callout, Section, write_page

    path = config.labeling / "label.json"
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: not a labeling ({type(error).__name__}); `robot-rl label` writes one"
        ) from error
    labeled = Dataset.open(config.labeling / "dataset")
    notes = [Callout("warn", note) for note in found["notes"]] or [
        Callout("info", f"Judge: {found['encoder']}.")
    ]
    sections = [
        Section("", *notes),
        labels_section(found, labeled, found["task"]),
        reward_section(labeled, found["camera"]),
    ]
    if config.policies:
        sections.append(policies_section(config.policies))
    out = config.out or config.labeling / "report.html"
    subtitle = f"Labels by {found['labeler']} and the reward learned from them, on {config.labeling.name}."
    write_page(
        out, found["task"], subtitle, sections, footer=f"robot_rl {__version__} · seed {found['seed']}"
    )
    print(out)


def policies_section(policies: tuple[Path, ...]):
    """List each policy's action error on held-out episodes and its success, where they were measured."""
    from robot_rl.errors import BadInput
    from robot_rl.report.page import Section, Table

    rows = []
    for folder in policies:
        if not (folder / "policy.json").exists():
            raise BadInput(f"{folder}: holds no policy.json; `robot-rl train` writes one")
        spec = json.loads((folder / "policy.json").read_text())
        error, success = _read(folder / "action_error.json"), _read(folder / "evaluation.json")
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


def _read(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.exists() else None
