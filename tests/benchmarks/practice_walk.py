"""Go2 walks better after at most ten minutes of practice: it falls, gets up and walks on, and is not reset.

Each seed is a policy of few mixed episodes and a practice of its own in `--folder`, kept and continued.
Beside it stands what as many updates more without practice come to. Rewards are the simulator's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from robot_rl.cli import train as train_verb
from robot_rl.cli.finetune import Config
from robot_rl.cli.lock_step import LockStep
from robot_rl.cli.reset_free import parts_of
from robot_rl.cli.reset_free_options import PracticeConfig
from robot_rl.envs.collect import Plan, collect
from robot_rl.envs.rollout import evaluate
from robot_rl.report.statistics import wilson
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import Row, report

TASK, QUALITY, DATA = "go2_walk", "mixed", 24  # episodes of 10 s
# Not used for any choice: those were made on the data seeds 611 to 614 and evaluations below 40,000.
DATA_SEED, FIRST_EPISODE = 911, 90_000
UPDATES = 2000  # offline: so few that success was 0.25; 4000 came to 0.85
# With rewards of single steps and an expectile of 0.9, walks became too fast by 0.2 m/s and stayed so online.
OFFLINE = {"n_step": 5, "settings": {"expectile": "0.7"}}
ONLINE = {"utd": 2, "average": 0.999}
LIMIT = 10.0  # minutes of robot time, get-ups included


@dataclass(frozen=True)
class Work:
    """One seed."""

    seed: int
    folder: Path
    steps: int
    episodes: int  # of the evaluations before and after


def train(work: Work, updates: int) -> Path:
    """Collect and train, or find what was trained already."""
    data = work.folder / f"data-{work.seed}"
    card = load_dataset_card(TASK, QUALITY)
    collect(Plan(load_task(TASK), card, data, DATA, DATA_SEED + work.seed, images=False), workers=1)
    out = work.folder / f"offline-{updates}-{work.seed}"
    told = {"algo": "iql", "steps": updates, "seed": work.seed, "reward": "next.reward", **OFFLINE}
    train_verb.main(train_verb.Config(data, out, **told))
    return out


def practise(work: Work, run: Path) -> dict[str, Any]:
    """Let it practise until the steps are done or the time is over; what that took."""
    options = PracticeConfig(lock_step=True, on_help="reset", publish_every=2000)
    config = Config(run, work.folder / f"practice-{work.seed}", reward="true", steps=work.steps,
                    seed=work.seed, episodes=20, reset_free=True, practice=options, **ONLINE)  # fmt: skip
    lock_step = LockStep(parts_of(config))
    supervisor = lock_step.practice.supervisor
    while not lock_step.learner.finished and supervisor.minutes < LIMIT:
        lock_step.run(until=lock_step.learner.step + 1)  # to the end of the try that runs
    ledger, state = lock_step.ledger, supervisor.state
    curve = [
        (v.step, v.status, *ledger.tally(v.number)[TASK])
        for v in ledger.versions()
        if v.status != "candidate"
    ]
    found = {
        "curve": curve,
        "best_step": ledger.best().step,
        "steps": lock_step.learner.step,
        "minutes": supervisor.minutes,
        "resets": state.resets - 1,
        "tries": state.counts[TASK].tries,
        **{name: getattr(state, name) for name in ("falls", "get_ups", "perturbations", "asked_for_help")},
    }
    lock_step.close()
    return found


def walked(work: Work, run: Path) -> dict[str, float]:
    """How well the policy walks, from starts that chose nothing."""
    seeds = range(FIRST_EPISODE, FIRST_EPISODE + work.episodes)
    found = evaluate(load_task(TASK), run, seeds)
    length = load_task(TASK).episode_length / load_task(TASK).control_rate  # s
    return {
        "episodes": work.episodes,
        "successes": int(found.success.sum()),
        "velocity_error": float(found.measured["velocity_error"].mean()),
        "turn_error": float(found.measured["turn_error"].mean()),
        "falls": int((found.measured["walked"] < length).sum()),
        "walked": float(found.measured["walked"].sum()),  # s
    }


def run_one(work: Work) -> dict[str, Any]:
    """All of one seed; a whole one is not done again."""
    kept = work.folder / f"seed-{work.seed}-{work.steps}-{work.episodes}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    run, start = train(work, UPDATES), time.monotonic()
    found: dict[str, Any] = {"before": walked(work, run), **practise(work, run)}
    found["seconds"] = time.monotonic() - start
    found["after"] = walked(work, work.folder / f"practice-{work.seed}" / "best")
    kept.write_text(json.dumps(found))
    print(f"seed {work.seed}: {json.dumps(found)}", flush=True)
    return found


def run_longer(work: Work, steps: int) -> dict[str, float]:
    """As many updates more on the data alone; a whole one is not done again."""
    kept = work.folder / f"longer-{work.seed}-{steps}-{work.episodes}.json"
    if not kept.exists():
        kept.write_text(json.dumps(walked(work, train(work, UPDATES + ONLINE["utd"] * steps))))
    return json.loads(kept.read_text())


def rows_of(runs: list[dict[str, Any]]) -> list[Row]:
    """What became of all seeds together."""
    total = {
        name: sum(run[name] for run in runs) for name in ("resets", "falls", "get_ups", "asked_for_help")
    }
    minutes = [run["minutes"] for run in runs]
    seconds = float(np.mean([run["seconds"] for run in runs]))
    before, after = (mean_of(runs, when, "velocity_error") for when in ("before", "after"))
    told = f"{total['falls']} falls, stood up again after {total['get_ups']}"
    return [
        *(row for when in ("before", "after", "longer") for row in walk_rows(runs, when)),
        Row.of("velocity_error_gain", round(1 - after / before, 3), "of before", (">=", 0.1)),
        Row.of("robot_time", round(max(minutes), 2), "min", ("<=", LIMIT + 0.2),
               f"get-ups included, the longest; ends with the try in which {LIMIT:g} are over"),
        Row.of("resets", total["resets"], "", ("<=", 0), f"after the first set-up; {told}"),
        Row.of("asked_for_help", total["asked_for_help"], "", ("<=", 0)),
        Row.of("wall_clock", round(seconds / 60, 1), "min", None, "of a practice, judging included; mean"),
    ]  # fmt: skip


def walk_rows(runs: list[dict[str, Any]], when: str) -> list[Row]:
    """Success, errors and falls before, after, or with as many updates more and no practice."""
    rate = wilson(sum(run[when]["successes"] for run in runs), sum(run[when]["episodes"] for run in runs))
    each = ", ".join(f"{run[when]['successes'] / run[when]['episodes']:.2f}" for run in runs)
    told = f"95 % interval {rate.low:.2f} to {rate.high:.2f}; each seed {each}"
    goals = {"before": ("<=", 0.6), "after": None, "longer": None}
    falls = sum(run[when]["falls"] for run in runs)
    minutes = sum(run[when]["walked"] for run in runs) / 60
    note = {"longer": "as many updates more without practice"}.get(when, "")
    return [
        Row.of(f"{when}/success", round(rate.mean, 3), "success", goals[when], told),
        Row.of(f"{when}/velocity_error", round(mean_of(runs, when, "velocity_error"), 3), "m/s", None, note),
        Row.of(f"{when}/turn_error", round(mean_of(runs, when, "turn_error"), 3), "rad/s", None, note),
        Row.of(f"{when}/falls", round(falls / minutes, 3), "a minute", None, f"{falls} in {minutes:.1f} min"),
    ]


def mean_of(runs: list[dict[str, Any]], when: str, what: str) -> float:
    """The mean over the seeds."""
    return float(np.mean([run[when][what] for run in runs]))


def main() -> None:
    """Run the benchmark; `--quick` is one seed and few steps, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12_000, help="control steps of the policy in practice")
    parser.add_argument("--episodes", type=int, default=60, help="of an evaluation")
    parser.add_argument("--folder", type=Path, default=None, help="kept and continued; else a temporary one")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.episodes = 1, 2200, 4
    start, folder = time.monotonic(), options.folder or Path(tempfile.mkdtemp(prefix="practice-walk-"))
    folder.mkdir(parents=True, exist_ok=True)
    works = [Work(seed, folder, options.steps, options.episodes) for seed in range(options.seeds)]
    runs = [run_one(work) for work in works]
    for work, run in zip(works, runs, strict=True):
        run["longer"] = run_longer(work, run["steps"])
    seconds = Row("seconds", round(time.monotonic() - start), "s", note=f"runs in {folder}")
    report("practice_walk", [*rows_of(runs), seconds])


if __name__ == "__main__":
    main()
