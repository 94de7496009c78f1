"""The drawer, opened and closed in turns in one world: from a weak policy to a good one without a reset.

Beside the reset-free run stand cloning, the offline policy, naive SAC that starts from nothing, and an oracle
whose world is set up anew before each try. Each arm and seed is a run of its own in `--folder`, which is kept
and continued, so that the benchmark can be done in parts (`--arms`). Rewards are the simulator's.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from robot_rl.cli import train as train_verb
from robot_rl.cli.finetune import Config
from robot_rl.cli.lock_step import LockStep
from robot_rl.cli.reset_free import PracticeConfig, make_pair_of, parts_of
from robot_rl.cli.reset_free_judge import SceneJudge
from robot_rl.deploy.supervisor import Order
from robot_rl.deploy.verdict import Tally
from robot_rl.envs.collect import Plan, collect
from robot_rl.report.statistics import Interval, wilson
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import Row, report

TASKS = ("drawer_open", "drawer_close")
# Not used for any choice: those were made on the data seeds 511 to 514 and evaluations from 10,000 on.
DATA_SEED, FIRST_EPISODE = 811, 80_000
DATA = {"drawer_open": ("mixed", 30), "drawer_close": ("mixed", 30)}  # quality and episodes
EARLY = 0.1  # share of the steps in which success may not fall
# SAC as it is without prior data: two critics, one update a step.
SAC = {"critics": "2", "subset": "2", "utd": "1", "layer_norm": "false", "target_entropy": "-4"}


@dataclass(frozen=True)
class Arm:
    """One way to a policy."""

    name: str
    algorithm: str = "iql"
    updates: int = 4000  # offline
    settings: Mapping[str, str] = field(default_factory=dict)
    online: Mapping[str, Any] | None = field(default_factory=dict)  # None: it does not practise
    resets: bool = False  # the world is set up anew before each try
    seeds: int = 1


ARMS = (
    Arm("reset-free", online={"utd": 2}, seeds=3),
    Arm("BC", "bc", online=None),
    Arm("naive SAC", "rlpd", 1, SAC, {"mix": 0.0}),
    Arm("oracle with resets", online={"utd": 2}, resets=True),
)


class WithResets(LockStep):
    """The oracle: before each try, everything is put back to where its task starts."""

    def between_tries(self, order: Order) -> None:
        """Set the world up anew for the next try."""
        supervisor = self.practice.supervisor
        supervisor.count_reset()
        self.world.pair.begin_with(order.task, self.parts.config.seed + supervisor.state.resets)


@dataclass(frozen=True)
class Work:
    """One arm with one seed."""

    arm: Arm
    seed: int
    folder: Path
    steps: int
    episodes: int  # of each task, in the last evaluation

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.arm.name.replace(' ', '_')}-{self.seed}"


def offline(work: Work) -> Path:
    """Collect and train, or find what was trained already."""
    paths = []
    for task, (quality, episodes) in DATA.items():
        card, path = load_dataset_card(task, quality), work.folder / f"{task}-{work.seed}"
        collect(Plan(load_task(task), card, path, episodes, DATA_SEED + work.seed, images=False), workers=1)
        paths.append(path)
    arm, out = work.arm, work.folder / f"offline-{work.arm.algorithm}-{work.arm.updates}-{work.seed}"
    config = train_verb.Config(
        paths[0], out, algo=arm.algorithm, steps=arm.updates, seed=work.seed, reward="next.reward",
        settings=dict(arm.settings), more=tuple(paths[1:]), by_task=True,
    )  # fmt: skip
    train_verb.main(config)
    return out


def run_one(work: Work) -> dict[str, Any]:
    """All of one arm with one seed; a whole run is not done again."""
    kept = work.folder / f"{work.name}-{work.steps}-{work.episodes}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    run, start = offline(work), time.monotonic()
    found: dict[str, Any] = {"offline": judged(work, run)}
    if work.arm.online is not None:
        found |= practise(work, run)
    found["seconds"] = round(time.monotonic() - start)
    kept.write_text(json.dumps(found))
    print(f"{work.name}: {json.dumps({k: v for k, v in found.items() if k != 'curve'})}", flush=True)
    return found


def practise(work: Work, run: Path) -> dict[str, Any]:
    """Let it practise; what it came to, and what that took."""
    options = PracticeConfig(lock_step=True, on_help="reset", film=False)
    config = Config(run, work.folder / f"online-{work.name}", reward="true", steps=work.steps,
                    seed=work.seed, episodes=10, practice=options)  # fmt: skip
    parts = parts_of(dataclasses.replace(config, reset_free=True, **work.arm.online))
    lock_step = (WithResets if work.arm.resets else LockStep)(parts)
    lock_step.run()
    ledger, supervisor = lock_step.ledger, lock_step.practice.supervisor
    curve = [(v.step, mean_of(ledger.tally(v.number))) for v in ledger.versions() if ledger.tally(v.number)]
    state = supervisor.state
    found = {
        "curve": curve,
        "end": judged(work, parts.out / "best"),
        "best_step": ledger.best().step,
        "elsewhere": judged(work, parts.out / "best", scene=False),
        "minutes": supervisor.minutes,
        "resets": state.resets - 1,
        "perturbations": state.perturbations,
        "asked_for_help": state.asked_for_help,
    }
    lock_step.close()
    return found


def judged(work: Work, folder: Path, scene: bool = True) -> dict[str, tuple[int, int]]:
    """Tries and successes of each task, on starts that chose nothing."""
    pair = make_pair_of(TASKS)
    seeds = range(FIRST_EPISODE, FIRST_EPISODE + work.episodes)
    found = SceneJudge(pair, seeds, work.seed if scene else None)(folder)
    pair.close()
    return dict(found)


def mean_of(tally: Tally) -> float:
    """Mean success over the tasks."""
    return float(np.mean([successes / tries for tries, successes in tally.values()]))


def pooled(tallies: list[Tally]) -> Interval:
    """Success over all episodes of several tallies."""
    counts = np.array([one for tally in tallies for one in tally.values()])
    return wilson(int(counts[:, 1].sum()), int(counts[:, 0].sum()))


def rows_of(arm: Arm, runs: list[dict[str, Any]], steps: int) -> list[Row]:
    """What became of one arm."""
    name, main = arm.name.replace(" ", "_"), arm.name == "reset-free"
    offline_rate = pooled([run["offline"] for run in runs])
    told = f"each seed {each_of(runs, 'offline')}; {by_task(runs, 'offline')}"
    rows = [rate(f"{name}/offline", offline_rate, told, (">=", 0.3) if main else None)]
    if main:
        bound = ("<=", 0.6)
        rows.append(Row.of(f"{name}/offline_is_weak", round(offline_rate.mean, 3), "success", bound))
    if arm.online is None:
        return rows
    end = pooled([run["end"] for run in runs])
    told = f"best weights on new starts; each seed {each_of(runs, 'end')}; {by_task(runs, 'end')}"
    elsewhere = pooled([run["elsewhere"] for run in runs])
    return [
        *rows,
        rate(f"{name}/end", end, told, (">=", 0.9) if main else None),
        rate(f"{name}/end_in_other_scenes", elsewhere, "things stand anywhere"),
        *gain_of(name, offline_rate.mean, end.mean),
        *cost_of(name, runs, steps, main),
    ]


def gain_of(name: str, before: float, after: float) -> list[Row]:
    """The relative gain, where there was something to gain on."""
    return [Row.of(f"{name}/gain", round(after / before - 1, 3), "of offline", None)] if before else []


def cost_of(name: str, runs: list[dict[str, Any]], steps: int, main: bool) -> list[Row]:
    """What practice took, and whether success fell when it began."""
    window = max(EARLY * steps, 1000)
    worst = [min((rate for step, rate in run["curve"][1:] if step <= window), default=1.0) for run in runs]
    drop = np.mean([run["curve"][0][1] - low for run, low in zip(runs, worst, strict=True)])
    minutes, seconds = (np.mean([run[key] for run in runs]) for key in ("minutes", "seconds"))
    total = {key: sum(run[key] for run in runs) for key in ("resets", "perturbations", "asked_for_help")}
    told = f"offline less the worst judged within {window:.0f} steps, mean of the seeds"
    also = (
        f"after the first set-up; perturbations {total['perturbations']}, "
        f"asked for help {total['asked_for_help']} times"
    )
    goals = (("<=", 0.1), ("<=", 0)) if main else (None, None)
    took = f"{steps} steps, homing included; mean of the seeds"
    return [
        Row.of(f"{name}/drop_early", round(float(drop), 3), "success", goals[0], told),
        Row.of(f"{name}/resets", total["resets"], "", goals[1], also),
        Row.of(f"{name}/robot_time", round(float(minutes), 1), "min", None, took),
        Row.of(f"{name}/wall_clock", round(float(seconds) / 60, 1), "min", None, "judging included"),
    ]


def each_of(runs: list[dict[str, Any]], key: str) -> str:
    """Mean success of each seed."""
    return ", ".join(f"{mean_of(run[key]):.2f}" for run in runs)


def rate(name: str, one: Interval, note: str, goal: tuple[str, float] | None = None) -> Row:
    """A success rate with its interval."""
    told = f"95 % interval {one.low:.2f} to {one.high:.2f}; {note}"
    return Row.of(name, round(one.mean, 3), "success", goal, told)


def by_task(runs: list[dict[str, Any]], key: str) -> str:
    """Success of each task, over all seeds."""
    return ", ".join(f"{task} {pooled([{task: run[key][task]} for run in runs]).mean:.2f}" for task in TASKS)


def main() -> None:
    """Run the benchmark; `--quick` is one seed and few steps, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--arms", nargs="*", default=[arm.name for arm in ARMS], help="which, to do it in parts"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of the reset-free arm")
    parser.add_argument("--steps", type=int, default=15_000, help="environment steps of practice")
    parser.add_argument("--episodes", type=int, default=50, help="of each task in the last evaluation")
    parser.add_argument("--folder", type=Path, default=None, help="kept and continued; else a temporary one")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.episodes = 1, 1200, 4
    start, folder = time.monotonic(), options.folder or Path(tempfile.mkdtemp(prefix="reset-free-"))
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for arm in (arm for arm in ARMS if arm.name in options.arms):
        works = [Work(arm, seed, folder, options.steps, options.episodes)
                 for seed in range(min(arm.seeds, options.seeds))]  # fmt: skip
        rows += rows_of(arm, [run_one(work) for work in works], options.steps)
    report(
        "reset_free", [*rows, Row("seconds", round(time.monotonic() - start), "s", note=f"runs in {folder}")]
    )


if __name__ == "__main__":
    main()
