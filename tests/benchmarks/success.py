"""Success from pixels: what a classifier misses and what it takes for success on frames of other episodes.

Each task's classifier is fitted, and its threshold chosen, on episodes of one collection, and measured on all
frames of another one with another seed and another mix of behaviours. Labels are the simulator's success of
the frames that are drawn; the threshold uses all labels of two fifths of the first collection's episodes.
Encoders are the small in-domain ones: trained on pictures of the task's scene with the words of its card,
which speak of how far the drawer or the door is, though not of success. "Another scene's encoder" never saw
this scene.
A chat model's labels are left out: what a stand-in for one answers is not a measurement.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from robot_rl.cli.common import progress
from robot_rl.cli.label import Config as LabelConfig
from robot_rl.cli.label import main as label
from robot_rl.cli.success import Config
from robot_rl.cli.success_run import Measured, make
from robot_rl.envs.collect import Plan, collect
from robot_rl.specs.dataset_cards import load_dataset_card
from robot_rl.specs.tasks import load_task
from tests.benchmarks._rows import BENCH, Row, report

# Task -> episodes to fit on, the opposite task, and the scene of another encoder. Take other seeds after a
# change made because of these rows.
TASKS = {
    "drawer_open": (30, "drawer_close", "door_open"),
    "drawer_close": (20, "drawer_open", "door_open"),
    "door_open": (30, None, "drawer_open"),
}
FIT, TEST, TEST_EPISODES = ("medium", 701), ("mixed", 801), 50
LABELS, SEEDS, MAIN = (50, 200, 1000), (0, 1, 2), 200
MEASURES = ("false negatives", "false positives", "precision", "recall", "auc", "calibration error")
GOALS = {"false negatives": ("<=", 0.20), "false positives": ("<=", 0.05)}


def collected(folder: Path, task: str, quality: str, seed: int, episodes: int) -> Path:
    """The dataset of a task, collected unless it is there."""
    path = folder / f"{task}-{quality}-{seed}"
    if not (path / "meta/info.json").exists():
        plan = Plan(load_task(task), load_dataset_card(task, quality), path, episodes, seed, True)
        with progress(episodes, f"collecting {task} {quality}", "episodes") as advance:
            collect(plan, 2, advance)
    return path


def config_of(folder: Path, task: str, **changes: object) -> Config:
    """The command as a user would give it."""
    episodes, opposite, _ = TASKS[task]
    other = None if opposite is None else collected(folder, opposite, *FIT, TASKS[opposite][0])
    settings = {
        "dataset": collected(folder, task, *FIT, episodes),
        "test": collected(folder, task, *TEST, TEST_EPISODES),
        "opposite_data": other,
        "task": task,
    }
    return Config(**{**settings, **changes})


def rows_of(folder: Path, name: str, config: Config, seeds: tuple[int, ...] = (0,)) -> Iterator[Row]:
    """The measures of one way to make a classifier: means over `seeds`, each with its own labeled frames.

    What a killed run has measured is read again; goals are those of the main way, with several seeds.
    """
    kept = folder / "rows" / f"{re.sub('[^a-z0-9]+', '-', name)}.json"
    if not kept.exists():
        found = [make(dataclasses.replace(config, seed=seed))[1] for seed in seeds]
        tables = [{row[0]: row[1:] for row in one.rates.rows()} for one in found]
        rows = [_row(name, measure, tables) for measure in MEASURES] + list(_episodes(name, found))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([dataclasses.asdict(row) for row in rows]))
    yield from (Row(**row) for row in json.loads(kept.read_text()))


def _row(name: str, measure: str, tables: list[dict]) -> Row:
    """One measure over the seeds."""
    values = [table[measure][0] for table in tables]
    low, high = min(t[measure][1] for t in tables), max(t[measure][2] for t in tables)
    note = f"95 % interval {low:.3f} to {high:.3f}"
    if len(tables) > 1:
        note = f"{min(values):.4f} to {max(values):.4f} over {len(tables)} seeds; {note}"
    goal = GOALS.get(measure) if len(tables) > 1 else None
    return Row.of(f"{name}: {measure}", round(float(np.mean(values)), 4), "share", goal, note)


def _episodes(name: str, found: list[Measured]) -> Iterator[Row]:
    """What the rule of frames in a row makes of whole episodes."""
    rules = [one.switches for one in found]
    missed = sum(r.missed for r in rules) / sum(r.reached for r in rules)
    false = sum(r.false for r in rules) / max(sum(r.others for r in rules), 1)
    early = sum(r.early for r in rules) / sum(r.reached for r in rules)
    note = f"{rules[0].reached} episodes with success for 3 frames, {rules[0].others} without any"
    yield Row.of(f"{name}: successes that are missed", round(missed, 4), "share of episodes", None, note)
    yield Row.of(f"{name}: called success without one", round(false, 4), "share of episodes", None, note)
    yield Row.of(f"{name}: called success early", round(early, 4), "share of episodes", None, note)


def speed(config: Config) -> Row:
    """Time from picture to verdict, encoder included."""
    classifier, measured = make(config)
    detect, times = classifier.detector(), []
    for picture in measured.seen.pictures(measured.frames[:220]):
        start = time.perf_counter()
        detect(picture)
        times.append(time.perf_counter() - start)
    return Row.of(
        "time of a verdict", round(1e3 * float(np.median(times[20:])), 2), "ms", None, "median, one picture"
    )


def labeled(folder: Path, task: str) -> Path:
    """A labeling of the fitting collection by the labeler clip, without any success."""
    out = folder / f"{task}-labeling"
    if not (out / "label.json").exists():
        dataset, store = collected(folder, task, *FIT, TASKS[task][0]), folder / f"{task}.labels.sqlite"
        label(LabelConfig(dataset=dataset, task=task, out=out, pairs=3000, store=store))
    return out


def measure(folder: Path, task: str) -> Iterator[Row]:
    """All rows of a task."""
    for frames in LABELS:
        config = config_of(folder, task, frames=frames)
        seeds = SEEDS if frames == MAIN else (0,)
        yield from rows_of(folder, f"{task}: {frames} labeled frames", config, seeds)
    plain = config_of(folder, task, frames=MAIN, cover=False, opposite_data=None, near=0.0)
    yield from rows_of(folder, f"{task}: {MAIN} frames, no hard negatives", plain)
    strips = config_of(folder, task, frames=MAIN, strip=3)
    yield from rows_of(folder, f"{task}: {MAIN} frames, strips of 3", strips)
    other = config_of(folder, task, frames=MAIN, model=f"in-domain:{TASKS[task][2]}")
    yield from rows_of(folder, f"{task}: {MAIN} frames, another scene's encoder", other)
    reward = config_of(folder, task, labels="reward", labeling=labeled(folder, task), opposite_data=None)
    yield from rows_of(folder, f"{task}: score of a reward model", reward)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--folder", type=Path, default=BENCH / "success", help="datasets and labelings, kept")
    arguments = parser.parse_args()
    rows = [row for task in arguments.tasks for row in measure(arguments.folder, task)]
    report("success", [*rows, speed(config_of(arguments.folder, arguments.tasks[0]))])


if __name__ == "__main__":
    main()
