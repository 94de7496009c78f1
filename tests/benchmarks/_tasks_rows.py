"""From what policies did in the benchmark `tasks` to its rows: success with an interval, and the goals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robot_rl.report.statistics import wilson
from tests.benchmarks._rows import Row
from tests.benchmarks._tasks_study import ARMS, STUDIES, Study, found, labels_file

ABOVE = 0.1  # of success, that counts as better
ENOUGH, TASKS_OF_FIVE = 0.8, 3  # of the true reward's success, and in how many of the five tasks


def study_rows(study: Study, folder: Path) -> list[Row]:
    """The rows of one task as far as its policies are finished."""
    records = {arm: found(study, arm, folder) for arm in ARMS}
    records = {arm: each for arm, each in records.items() if len(each) == len(study.seeds)}
    success = {arm: float(np.mean([r["success"] for r in each])) for arm, each in records.items()}
    goals = goals_of(success, study.quality)
    rows = [
        Row.of(f"{study.task}/{arm}", success[arm], "success", goals.get(arm), _told(study, records[arm]))
        for arm in records
    ]
    return rows + (_label_rows(study, folder) if "clip" in records else [])


def goals_of(success: Mapping[str, float], quality: str) -> dict[str, tuple[str, float]]:
    """Bounds by arm, as far as what they depend on is known; only random data must defeat cloning."""
    goals = {"bc": ("<=", 0.2)} if quality == "random" else {}
    if "bc" in success:
        goals["true_reward"] = (">=", max(0.8, round(success["bc"] + ABOVE, 3)))
    if "true_reward" in success and "constant" in success:
        least = max(ENOUGH * success["true_reward"], success["constant"] + ABOVE)
        goals["clip"] = (">=", round(least, 3))
    return goals


def across_rows(rows: Sequence[Row]) -> list[Row]:
    """In how many of the five tasks labels do what the true reward does; empty until all are measured."""
    clip = {row.name.partition("/")[0]: row.holds for row in rows if row.name.endswith("/clip")}
    if set(clip) != set(STUDIES) or None in clip.values():
        return []
    held = [task for task, holds in clip.items() if holds]
    note = f"labels reach {ENOUGH} of the true reward's success and are above constant in {', '.join(held)}"
    bound = (">=", float(TASKS_OF_FIVE))
    return [
        Row.of("labels_hold", float(len(held)), f"of {len(clip)} tasks", bound, note),
        Row.of("labels_hold/dressing", float(clip["dressing"]), "yes or no", (">=", 1.0)),
    ]


def _told(study: Study, records: Sequence[Mapping]) -> str:
    """How a row's figure was found: interval, seeds, returns."""
    episodes = np.concatenate([record["episodes"] for record in records])
    interval = wilson(int(episodes.sum()), len(episodes))
    each = ", ".join(f"{record['success']:.2f}" for record in records)
    returned = float(np.mean([record["mean_return"] for record in records]))
    return (
        f"95 % interval {interval.low:.2f} to {interval.high:.2f}; seeds {list(study.seeds)}: {each}; "
        f"{study.episodes} episodes each; mean return {returned:.4g}; {study.updates} updates, "
        f"{study.quality} data {', '.join(map(str, sorted(set(study.data_seeds))))}"
    )


def _label_rows(study: Study, folder: Path) -> list[Row]:
    """How right the judge is, against the true reward."""
    files = [labels_file(study, seed, folder) for seed in study.seeds]
    measured = [json.loads(path.read_text()) for path in files if path.exists()]
    rows = []
    for name, least in (("label_accuracy", 0.75), ("label_accuracy_clear", 0.9)):
        values = [one[name] for one in measured if one[name] is not None]
        if values:
            note = f"in-domain judge, 5000 uniform pairs: {', '.join(f'{value:.2f}' for value in values)}"
            rows.append(Row.of(f"{study.task}/{name}", float(np.mean(values)), "share", (">=", least), note))
    return rows
