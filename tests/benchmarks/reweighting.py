"""Keep what was known: success on all tasks of pre-training, before and after practice of two of them.

One policy of three Meta-World tasks is trained offline and practises the drawer's two without resets: without
the prior data, with half of each batch from all of it alike, and with that half drawn by
`learners.reweighting`, which hears of every judged version. The last weights are compared, not the best.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

from robot_rl.cli import train as train_verb
from robot_rl.cli.finetune import Config
from robot_rl.cli.lock_step import LockStep
from robot_rl.cli.reset_free import parts_of
from robot_rl.cli.reset_free_options import PracticeConfig
from robot_rl.envs.rollout import evaluate
from robot_rl.report.statistics import wilson
from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import BENCH, Row, report
from tests.benchmarks.reset_free import IQL, collected

PRACTISED, KEPT = ("drawer_open", "drawer_close"), "door_open"
TASKS = (*PRACTISED, KEPT)
QUALITY, DATA_SEED, FIRST_EPISODE = "mixed", 721, 90_000
ARMS: Mapping[str, Mapping[str, Any]] = {
    "no prior data": {"mix": 0.0},
    "prior data alike": {},
    "prior data reweighted": {"reweigh": True},
}


@dataclass(frozen=True)
class Work:
    """How long a run is, and where it lives."""

    folder: Path
    episodes: int  # of each task's data
    updates: int  # offline
    steps: int  # of tries
    tries: int  # episodes of each task, before and after


def learn_offline(work: Work, seed: int) -> Path:
    """One policy of all tasks; a run that is there is taken as it is."""
    first, *others = (
        collected(work.folder, task, QUALITY, DATA_SEED + seed, work.episodes, False) for task in TASKS
    )
    out = work.folder / f"offline-{work.updates}-{seed}"
    config = train_verb.Config(first, out, steps=work.updates, seed=seed, more=tuple(others), by_task=True,
                               settings=IQL)  # fmt: skip
    train_verb.main(config)
    return out


def practise(work: Work, arm: str, seed: int, run: Path) -> Path:
    """Practise by an arm's settings; returns the folder of the last weights."""
    settings = dict(ARMS[arm])
    practice = PracticeConfig(
        lock_step=True, on_help="reset", film=False, reweigh=settings.pop("reweigh", False)
    )
    out = work.folder / f"{arm.replace(' ', '-')}-{seed}"
    config = Config(
        run, out, steps=work.steps, seed=seed, episodes=10, utd=4, reset_free=True, practice=practice
    )
    lock_step = LockStep(parts_of(dataclasses.replace(config, **settings)))
    lock_step.run()
    lock_step.close()
    return out


def judged(work: Work, run: Path) -> dict[str, int]:
    """Successes of every task, things standing anywhere."""
    seeds = range(FIRST_EPISODE, FIRST_EPISODE + work.tries)
    return {task: int(evaluate(load_task(task), run, seeds).success.sum()) for task in TASKS}


def found(work: Work, arm: str, seed: int) -> dict[str, Any]:
    """Successes before and after, and the last shares of the prior data; a whole run is not done again."""
    kept = work.folder / f"{arm.replace(' ', '-')}-{seed}-{work.steps}-{work.tries}.json"
    if not kept.exists():
        run = learn_offline(work, seed)
        out = practise(work, arm, seed, run)
        rows = [json.loads(line) for line in (out / "online.jsonl").read_text().splitlines()]
        shares = [[row[f"prior_share/{t}"] for t in TASKS] for row in rows if f"prior_share/{KEPT}" in row]
        one = {"before": judged(work, run), "after": judged(work, out), "shares": shares}
        kept.write_text(json.dumps(one))
        print(f"{arm}, seed {seed}: {one['before']}, {one['after']}", flush=True)
    return json.loads(kept.read_text())


def rows_of(work: Work, arm: str, runs: list[dict[str, Any]]) -> list[Row]:
    """Success after practice, of each task, over all seeds."""
    rows, count = [], work.tries * len(runs)
    for task in TASKS:
        before, after = (sum(run[when][task] for run in runs) for when in ("before", "after"))
        interval = wilson(after, count)
        each = ", ".join(
            f"{run['before'][task] / work.tries:.2f} to {run['after'][task] / work.tries:.2f}" for run in runs
        )
        what = "kept" if task == KEPT else "practised"
        note = (
            f"{what}; before {before / count:.2f}; 95 % interval {interval.low:.2f} to {interval.high:.2f}; "
            f"each seed {each}"
        )
        rows.append(Row.of(f"{arm}: {task}", round(after / count, 3), "success", None, note))
    if any(run["shares"] for run in runs):
        means = [sum(share[k] for run in runs for share in run["shares"]) for k in range(len(TASKS))]
        told = ", ".join(f"{task} {mean / sum(means):.2f}" for task, mean in zip(TASKS, means, strict=True))
        rows.append(
            Row(f"{arm}: {KEPT}'s share", round(means[-1] / sum(means), 3), "of prior data", note=told)
        )
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=BENCH / "reweighting")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=30, help="of each task's data")
    parser.add_argument("--updates", type=int, default=4000, help="offline")
    parser.add_argument("--steps", type=int, default=8000, help="of tries")
    parser.add_argument("--tries", type=int, default=50, help="episodes of each task, before and after")
    given = parser.parse_args()
    start = time.monotonic()
    work = Work(given.folder, given.episodes, given.updates, given.steps, given.tries)
    work.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for arm in ARMS:
        rows += rows_of(work, arm, [found(work, arm, seed) for seed in range(given.seeds)])
    report("reweighting", [*rows, Row("seconds", round(time.monotonic() - start), "s")])


if __name__ == "__main__":
    main()
