"""The page of a demo: what was judged, how good the labels are, what was learned, and how it compares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from robot_rl import __version__
from robot_rl.cli.demo import NAMES, Made
from robot_rl.cli.label_report import labels_section, reward_section
from robot_rl.report import figures
from robot_rl.report.page import (
    Callout,
    Code,
    Figure,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Video,
    write_page,
)
from robot_rl.report.statistics import wilson
from robot_rl.report.video import read_mp4

# The paper's success on its own drawer-open data of random quality (arXiv 2411.05273), where it has the arm.
PUBLISHED = {"true_reward": 0.99, "labeled": 0.91, "constant_reward": 0.19, "bc": 0.04}


def build_report(made: Made, path: Path) -> None:
    """Write the page of a finished run."""
    sections = [
        _head(made),
        _policies(made),
        labels_section(made.found, made.labeled, made.task.goal),
        reward_section(made.labeled, made.task.camera.name),
        _training(made),
        _again(made),
    ]
    write_page(
        path,
        made.task.goal[0].upper() + made.task.goal[1:],
        "A reward learned from preferences between pictures, and the policy that it taught.",
        sections,
        footer=f"robot_rl {__version__} · task {made.task.name} · seed {made.config.seed}",
    )


def _head(made: Made) -> Section:
    success, found = made.records, made.found
    rate = made.dataset.column("next.success")
    reached = np.logical_or.reduceat(rate, made.dataset.starts)
    count = len(success["labeled"]["episodes"])
    return Section(
        "",
        KeyFigures(
            [
                KeyFigure(
                    f"{success['labeled']['success']:.0%}", "success from learned labels", f"{count} episodes"
                ),
                KeyFigure(
                    f"{success['true_reward']['success']:.0%}",
                    "with the true reward",
                    "same data, same settings",
                ),
                KeyFigure(f"{success['bc']['success']:.0%}", "behaviour cloning", "same data"),
                KeyFigure(f"{reached.mean():.0%}", "of the data succeeds", f"{len(made.dataset)} episodes"),
                KeyFigure(
                    f"{found['label_accuracy']:.0%}",
                    "of labels agree with the true reward",
                    f"{found['label_accuracy_clear']:.0%} on clear pairs",
                ),
            ]
        ),
        Callout(
            "info",
            f"Judge: {made.origin}. It is not a general vision-language model, and its figures "
            "say nothing about one.",
        ),
    )


def _policies(made: Made) -> Section:
    bars, rows = [], []
    for name, record in made.shown().items():
        count = len(record["episodes"])
        interval = wilson(sum(record["episodes"]), count)
        bars.append(
            figures.Bar(
                NAMES[name],
                record["success"],
                interval.low,
                interval.high,
                count,
                highlight=name == "labeled",
            )
        )
        rows.append(
            [
                NAMES[name],
                f"{record['success']:.2f}",
                f"{interval.low:.2f} – {interval.high:.2f}",
                f"{PUBLISHED[name]:.2f}" if name in PUBLISHED else None,
            ]
        )
    blocks = [
        Figure(
            figures.success_bars(bars),
            "Share of episodes that succeed. Whiskers are 95 % Wilson intervals "
            "of one training seed; evaluation episodes are not in the data.",
            title="Success by reward",
        ),
        Table(
            ["Policy", "Success", "95 % interval", "Published"],
            rows,
            highlight=0,
            caption="Published: Real-World Offline RL from VLM Feedback, drawer-open, random data. Their "
            "data and judge differ, so the column is a landmark and not a contest.",
        ),
    ]
    if made.film:
        film = Video(
            read_mp4(made.film), "The policy that learned from labels, first evaluation episode.", half=True
        )
        blocks.append(film)
    return Section("Policies", *blocks)


def _training(made: Made) -> Section:
    lines = {}
    for name in ("labeled", "true_reward", "constant_reward"):
        path = made.config.out / "policies" / name / "train.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [row for row in rows if "q_loss" in row]
        lines[NAMES[name]] = (np.array([r["step"] for r in rows]), np.array([r["q_loss"] for r in rows]))
    caption = (
        "Loss of the critic. It shows that training went on, not that a policy is good; success above does."
    )
    return Section("Training", Figure(figures.curves(lines, "critic loss", xlabel="updates"), caption))


def _again(made: Made) -> Section:
    out = made.config.out
    commands = "\n".join(
        [
            f"robot-rl demo --config {out}/config.yaml --out runs/again",
            f"robot-rl inspect {out}/labeled",
            f"robot-rl evaluate {out}/policies/labeled --episodes 50",
        ]
    )
    return Section("Run it again", Code(commands))
