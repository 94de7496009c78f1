"""A drawer, opened and closed in turns in one world: from a weak policy to a good one without a reset.

Beside the reset-free run stand cloning, the offline policy, naive SAC that starts from nothing, and an oracle
whose world is set up anew before each try; a door is the harder pair. Their rewards are the simulator's.
Three more arms know no written reward: 1 where the simulator sees success, 1 where a classifier of pictures
sees it, and a reward learned from preferences; in the last two nothing but pictures ends a try or judges
weights. Each arm and seed is a run of its own in `--folder`, which is kept and continued, so that the
benchmark can be done in parts (`--arms`).
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
from robot_rl.cli.label import Config as LabelConfig
from robot_rl.cli.label import main as label
from robot_rl.cli.lock_step import LockStep
from robot_rl.cli.reset_free import make_pair_of, parts_of
from robot_rl.cli.reset_free_judge import SceneJudge
from robot_rl.cli.reset_free_options import PracticeConfig
from robot_rl.cli.success import Config as SuccessConfig
from robot_rl.cli.success import main as success
from robot_rl.deploy.supervisor import Order
from robot_rl.deploy.verdict import Tally
from robot_rl.envs.collect import Plan, collect
from robot_rl.report.statistics import Interval, wilson
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import Row, report

DRAWER, DOOR = ("drawer_open", "drawer_close"), ("door_open", "door_close")
# Not used for any choice: those were made on the data seeds 511 to 514 and evaluations from 10,000 on.
DATA_SEED, FIRST_EPISODE = 831, 85_000
QUALITY, EPISODES = "mixed", 30  # of each task's data
SUCCESS_DATA = ("medium", 841, 30)  # quality, seed and episodes that success classifiers are fitted on
IQL, ONLINE = {"temperature": "10"}, {"utd": 4}
EARLY = 0.1  # share of the steps in which success may not fall
# SAC as it is without prior data: two critics, one update a step.
SAC = {"critics": "2", "subset": "2", "utd": "1", "layer_norm": "false", "target_entropy": "-4"}


@dataclass(frozen=True)
class Arm:
    """One way to a policy."""

    name: str
    algorithm: str = "iql"
    updates: int = 4000  # offline
    settings: Mapping[str, str] = field(default_factory=lambda: IQL)
    online: Mapping[str, Any] | None = field(default_factory=dict)  # None: it does not practise
    resets: bool = False  # the world is set up anew before each try
    seeds: int = 1
    tasks: tuple[str, str] = DRAWER
    data: int = EPISODES  # of each task, offline
    data_reward: str = "next.reward"  # column of the offline data; "labeled": learned from preferences
    reward: str = "true"  # online; with "labeled" the learned one
    pixels: bool = False  # classifiers of pictures say what success is, and own tries judge weights


ARMS = (
    Arm("reset-free", online=ONLINE, seeds=3),
    Arm("BC", "bc", settings={}, online=None),
    Arm("naive SAC", "rlpd", 1, SAC, {"mix": 0.0}),
    Arm("oracle with resets", online=ONLINE, resets=True),
    Arm("door", online=ONLINE, tasks=DOOR, data=6, seeds=3),  # of 12 it learns three tries of four at once
    Arm("true success", online=ONLINE, data_reward="next.success", reward="success", seeds=3),
    Arm("pixel success", online=ONLINE, data_reward="next.success", reward="success", pixels=True, seeds=3),
    Arm("learned reward", online=ONLINE, data_reward="labeled", reward="labeled", pixels=True, seeds=3),
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


def collected(folder: Path, task: str, quality: str, seed: int, episodes: int, images: bool) -> Path:
    """The dataset of a task, collected unless it is there."""
    path = folder / f"{task}-{quality}-{seed}{'-seen' if images else ''}"
    if not (path / "meta/info.json").exists():
        collect(
            Plan(load_task(task), load_dataset_card(task, quality), path, episodes, seed, images), workers=1
        )
    return path


def data_of(work: Work) -> list[Path]:
    """The offline data of both tasks, with labels where rewards are learned."""
    seed, learned = DATA_SEED + work.seed, work.arm.data_reward == "labeled"
    paths = [collected(work.folder, task, QUALITY, seed, work.arm.data, learned) for task in work.arm.tasks]
    return [labeling(work, task) / "dataset" for task in work.arm.tasks] if learned else paths


def labeling(work: Work, task: str) -> Path:
    """A reward learned from what clip says of pairs of pictures of the offline data."""
    dataset = collected(work.folder, task, QUALITY, DATA_SEED + work.seed, work.arm.data, True)
    out = work.folder / f"{task}-labeling-{work.seed}"
    if not (out / "label.json").exists():
        label(LabelConfig(dataset=dataset, task=task, out=out, store=work.folder / f"{out.name}.sqlite"))
    return out


def classifier(folder: Path, task: str, opposite: str) -> Path:
    """Who sees success of a task, fitted to 200 labeled frames."""
    out, (quality, seed, episodes) = folder / f"{task}-success", SUCCESS_DATA
    if not (out / "success.json").exists():
        own, other = (collected(folder, one, quality, seed, episodes, True) for one in (task, opposite))
        success(SuccessConfig(dataset=own, opposite_data=other, task=task, out=out))
    return out


def offline(work: Work) -> Path:
    """Collect, label and train, or find what was trained already."""
    first, *others = data_of(work)
    arm = work.arm
    column = "next.reward" if arm.data_reward == "labeled" else arm.data_reward
    out = work.folder / f"offline-{arm.tasks[0]}-{arm.algorithm}-{arm.updates}-{arm.data_reward}-{work.seed}"
    config = train_verb.Config(
        first, out, algo=arm.algorithm, steps=arm.updates, seed=work.seed, reward=column,
        settings=dict(arm.settings), more=tuple(others), by_task=True,
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
    print(f"{work.name}: {json.dumps({k: v for k, v in found.items() if k != 'early'})}", flush=True)
    return found


def practise(work: Work, run: Path) -> dict[str, Any]:
    """Let it practise; what it came to, and what that took."""
    arm, seen = work.arm, {}
    if arm.pixels:
        folders = [classifier(work.folder, *tasks) for tasks in (arm.tasks, arm.tasks[::-1])]
        seen = {"success": tuple(folders), "judged_by": "tries"}
    options = PracticeConfig(lock_step=True, on_help="reset", film=False, **seen)
    reward = arm.reward
    if reward == "labeled":
        reward = ",".join(str(labeling(work, task)) for task in arm.tasks)
    config = Config(run, work.folder / f"online-{work.name}", reward=reward, steps=work.steps,
                    seed=work.seed, episodes=10, practice=options)  # fmt: skip
    parts = parts_of(dataclasses.replace(config, reset_free=True, **arm.online))
    lock_step = (WithResets if arm.resets else LockStep)(parts)
    ledger, early = lock_step.ledger, work.folder / f"{work.name}-{work.steps}-early.json"
    if not early.exists():  # old weights do not stay on disk
        lock_step.run(until=round(EARLY * work.steps))
        found = [(v.step, mean_of(judged(work, ledger.folder(v.number)))) for v in ledger.versions()[1:]]
        early.write_text(json.dumps(found))
    lock_step.run()
    supervisor = lock_step.practice.supervisor
    state = supervisor.state
    found = {
        "early": json.loads(early.read_text()),
        "end": judged(work, parts.out / "best"),
        "best_step": ledger.best().step,
        "elsewhere": judged(work, parts.out / "best", scene=False),
        "minutes": supervisor.minutes,
        "resets": state.resets - 1,
        "perturbations": state.perturbations,
        "asked_for_help": state.asked_for_help,
        "periods": state.steps,
        "seen": lock_step.world.quality,
    }
    lock_step.close()
    return found


def judged(work: Work, folder: Path, scene: bool = True) -> dict[str, tuple[int, int]]:
    """Tries and successes of each task, on starts that chose nothing."""
    pair = make_pair_of(work.arm.tasks)
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
    drops = [mean_of(run["offline"]) - min(rate for _, rate in run["early"]) for run in runs]
    minutes, seconds = (np.mean([run[key] for run in runs]) for key in ("minutes", "seconds"))
    total = {key: sum(run[key] for run in runs) for key in ("resets", "perturbations", "asked_for_help")}
    told = (
        f"offline less the worst weights of the first {EARLY:.0%} of the steps, same starts; each seed "
        + ", ".join(f"{drop:.2f}" for drop in drops)
    )
    also = (
        f"after the first set-up; perturbations {total['perturbations']}, "
        f"asked for help {total['asked_for_help']} times"
    )
    goals = (("<=", 0.1), ("<=", 0)) if main else (None, None)
    periods = np.mean([run["periods"] for run in runs])
    took = f"{steps} steps of tries, {periods:.0f} with homing; mean of the seeds"
    return [
        Row.of(f"{name}/drop_early", round(float(np.mean(drops)), 3), "success", goals[0], told),
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
    tasks = runs[0][key]
    return ", ".join(f"{task} {pooled([{task: run[key][task]} for run in runs]).mean:.2f}" for task in tasks)


def seen_rows(arm: Arm, runs: list[dict[str, Any]]) -> list[Row]:
    """How well pictures told success in practice, frame by frame, where the simulator knew.

    A try ends with its first frames of success, the most doubtful ones; `success` measures whole episodes.
    """
    rows, name = [], arm.name.replace(" ", "_")
    for task in arm.tasks:
        cells = {cell: sum(run["seen"][task][cell] for run in runs) for cell in runs[0]["seen"][task]}
        for what, wrong, right in (("missed", "false_negative", "true_positive"),
                                   ("false_alarms", "false_positive", "true_negative")):  # fmt: skip
            count = cells[wrong] + cells[right]
            told = f"{count} frames of practice, of success those alone with which a try ends"
            rows.append(
                Row(f"{name}/{task}_{what}", round(cells[wrong] / max(count, 1), 4), "share", note=told)
            )
    return rows


def pixel_rows(found: dict[str, list[dict[str, Any]]]) -> list[Row]:
    """What rewards from pictures reach of what the same practice does by the simulator's own signals."""
    rows = []
    for name, other in (("learned reward", "reset-free"), ("pixel success", "true success")):
        if name in found and other in found:
            ours, true = (pooled([run["end"] for run in found[one]]).mean for one in (name, other))
            told = f"{ours:.3f} of {true:.3f}, {other}"
            share = round(ours / max(true, 1e-9), 3)
            rows.append(Row.of(f"{name.replace(' ', '_')}/of_true", share, "share", (">=", 0.9), told))
    return rows


def main() -> None:
    """Run the benchmark; `--quick` is one seed and few steps, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--arms", nargs="*", default=[arm.name for arm in ARMS], help="which, to do it in parts"
    )
    parser.add_argument("--seeds", type=int, default=3, help="at most, of the arms that use several")
    parser.add_argument("--steps", type=int, default=16_000, help="environment steps of practice")
    parser.add_argument("--episodes", type=int, default=50, help="of each task in the last evaluation")
    parser.add_argument("--folder", type=Path, default=None, help="kept and continued; else a temporary one")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.episodes = 1, 1200, 4
    start, folder = time.monotonic(), options.folder or Path(tempfile.mkdtemp(prefix="reset-free-"))
    folder.mkdir(parents=True, exist_ok=True)
    rows, found = [], {}
    for arm in (arm for arm in ARMS if arm.name in options.arms):
        works = [Work(arm, seed, folder, options.steps, options.episodes)
                 for seed in range(min(arm.seeds, options.seeds))]  # fmt: skip
        runs = found[arm.name] = [run_one(work) for work in works]
        rows += rows_of(arm, runs, options.steps) + (seen_rows(arm, runs) if arm.pixels else [])
    rows += pixel_rows(found)
    report(
        "reset_free", [*rows, Row("seconds", round(time.monotonic() - start), "s", note=f"runs in {folder}")]
    )


if __name__ == "__main__":
    main()
