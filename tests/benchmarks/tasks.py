"""What can be learned in each group of simulated tasks: BC and IQL, true, learned and constant rewards.

`make bench NAME=tasks` takes hours on 2 cores and goes on where it stopped: all that is finished stays in its
folder. `make bench NAME=tasks ROWS="dressing go2_walk/clip"` (or arguments) picks rows; the table shows these
and what was finished before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from robot_rl.errors import BadInput, nearest
from tests.benchmarks import _tasks_go2
from tests.benchmarks._rows import BENCH, Row, report
from tests.benchmarks._tasks_rows import across_rows, study_rows
from tests.benchmarks._tasks_study import ARMS, STUDIES, study_arms

BLIND = ("bc", "true_reward", "constant")  # arms that need no picture
FURTHER = {
    "go2_forward_0.5": (ARMS, _tasks_go2.forward),
    "go2_arm_reach": (BLIND, _tasks_go2.reach),
    "go2_getup": (BLIND, _tasks_go2.rise),
}
ROWS = dict.fromkeys(STUDIES, ARMS) | {name: arms for name, (arms, _) in FURTHER.items()}


def picked(words: list[str]) -> dict[str, tuple[str, ...]]:
    """Task -> arms, for words like `dressing` or `dressing/clip`; everything for none."""
    known = [name for task, arms in ROWS.items() for name in (task, *(f"{task}/{arm}" for arm in arms))]
    for word in words:
        if word not in known:
            raise BadInput(f"no row '{word}'.{nearest(word, known)}")
    wanted = words or list(ROWS)
    return {
        task: chosen
        for task, arms in ROWS.items()
        if (chosen := tuple(arm for arm in arms if task in wanted or f"{task}/{arm}" in wanted))
    }


def measure(task: str, arms: tuple[str, ...], folder: Path, workers: int, quick: bool) -> None:
    """Make what the rows of a task need; the further ones are written down as they are."""
    if task in STUDIES:
        study_arms(STUDIES[task].quick() if quick else STUDIES[task], arms, folder, workers)
        return
    rows = FURTHER[task][1](arms, folder, workers, quick)
    for row in rows:
        path = folder / "rows" / f"{row.name.replace('/', '-')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(row)))


def finished(folder: Path, quick: bool) -> list[Row]:
    """All rows that the folder's files give."""
    studies = [study.quick() if quick else study for study in STUDIES.values()]
    rows = [row for study in studies for row in study_rows(study, folder)]
    further = [Row(**json.loads(path.read_text())) for path in sorted(folder.glob("rows/*.json"))]
    return rows + further + across_rows(rows)


def main() -> None:
    """Measure the picked rows, and write all that are finished."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="tasks, or task/arm; default: $ROWS, else all")
    parser.add_argument("--folder", type=Path, default=BENCH / "tasks", help="kept and continued")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="next to nothing, to see that it runs")
    options = parser.parse_args()
    folder = options.folder / "quick" if options.quick else options.folder
    try:
        chosen = picked(options.rows or os.environ.get("ROWS", "").split())
    except BadInput as error:
        parser.error(str(error))
    for task, arms in chosen.items():
        measure(task, arms, folder, options.workers, options.quick)
        report("tasks_quick" if options.quick else "tasks", finished(folder, options.quick))


if __name__ == "__main__":
    main()
