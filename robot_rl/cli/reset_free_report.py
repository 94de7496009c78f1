"""The page on a robot that practised without resets: success over minutes, what it took, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_rl.cli.reset_free_success import QUALITY
from robot_rl.data.layout import read_json
from robot_rl.deploy.durable_queue import DurableQueue, Try
from robot_rl.deploy.supervisor import ENDS, FAILURES
from robot_rl.deploy.verdict import Tally
from robot_rl.deploy.weights_ledger import Version, WeightsLedger
from robot_rl.errors import BadInput
from robot_rl.report.page import Block, Callout, Figure, KeyFigure, KeyFigures, Section, Table, Text
from robot_rl.report.practice_figures import Tried, success_over_minutes
from robot_rl.report.statistics import wilson

QUEUE, SUPERVISOR = "queue.sqlite", "supervisor.json"
OTHERS, MEASURED = "other_tasks.json", "measured.json"
_BINS = 12  # points of the line of the robot's own tries
_COUNTED = ("success", *FAILURES)  # ends that say how good the weights are


def reset_free_page(run: Path, data: Path | None) -> tuple[str, str, list[Section], int]:
    """Title, subtitle, sections and seed of the page. Raises BadInput where the run is not whole."""
    from robot_rl.cli.run_report import curves_section, read_lines
    from robot_rl.policies.checkpoint import load_spec

    if not (run / SUPERVISOR).exists():
        raise BadInput(f"{run}: the robot has not begun yet; let the run go on first")
    told, ledger = read_json(run / SUPERVISOR), WeightsLedger(run)
    spec = load_spec(run / "best")
    queue = DurableQueue(run / QUEUE, spec.state_names, spec.action_names)
    tries, tasks = queue.tries(), told["rules"]["tasks"]
    head, *rows = read_lines(run / "online.jsonl")
    sections = [
        _head(told, ledger, tasks),
        _judged(ledger, tasks, told["rules"]["control_rate"]),
        _practised(tries, tasks, told),
        *_measured(run),
        *_quality(run),
        *_others(run),
        _pictures(run),
        _versions(ledger, tasks),
        curves_section(rows, "environment step"),
    ]
    queue.close()
    ledger.close()
    title = tasks[0].replace("_", " ") + (" and back" if len(tasks) > 1 else "")
    return title[0].upper() + title[1:], "Practises without resets.", sections, head["config"].get("seed", 0)


def _head(told: dict[str, Any], ledger: WeightsLedger, tasks: Sequence[str]) -> Section:
    """What a reader wants to know first."""
    state, rate = told["state"], told["rules"]["control_rate"]
    first, best = ledger.versions()[0], ledger.best()
    items = []
    for task in tasks:
        before, after = (ledger.tally(v.number, ledger.source()).get(task) for v in (first, best))
        if before and after:
            found = wilson(after[1], after[0])
            note = f"{found.low:.0%} to {found.high:.0%}; {before[1] / before[0]:.0%} before"
            items.append(KeyFigure(f"{found.mean:.0%}", task.replace("_", " "), note))
    minutes = (state["steps"] - state["waited"]) / rate / 60
    items += [
        KeyFigure(f"{minutes:.1f}", "minutes", "of robot time"),
        KeyFigure(str(max(state["resets"] - 1, 0)), "resets", "after the first set-up"),
        KeyFigure(str(state["interventions"]), "interventions", f"{state['intervention_steps']} steps"),
    ]
    if falls := state.get("falls", 0):
        items.append(KeyFigure(str(falls), "falls", f"stood up again after {state['get_ups']}, by itself"))
    asked = [Callout("warn", state["asked"], "The robot asks for help")] if state["asked"] else []
    return Section("", KeyFigures(items), *asked)


def _judged(ledger: WeightsLedger, tasks: Sequence[str], rate: float) -> Section:
    """Success of each version, judged apart from practice."""
    series: dict[str, list[Tried]] = {task: [] for task in tasks}
    for version in ledger.versions():
        for task, (tries, successes) in ledger.tally(version.number).items():
            series.setdefault(task, []).append(Tried(version.step / rate / 60, tries, successes))
    if not any(series.values()):
        return Section("Success", Text("No weights have been judged apart from the robot's own tries."))
    caption = "Weights judged without noise in a world of their own, with 95 % Wilson intervals."
    return Section(
        "Success", Figure(success_over_minutes(series, "Success over minutes of practice"), caption)
    )


def _practised(tries: Sequence[Try], tasks: Sequence[str], told: dict[str, Any]) -> Section:
    """The robot's own tries: over time, and how they ended."""
    state, rate = told["state"], told["rules"]["control_rate"]
    blocks: list[Block] = []
    series = {task: binned([one for one in tries if one.task == task], rate) for task in tasks}
    if any(series.values()):
        image = success_over_minutes(series, "Success of the robot's own tries")
        blocks.append(Figure(image, "The robot's own tries, with the noise that it explores with."))
    rows = []
    for task in tasks:
        counts = state["counts"][task]
        rows.append([task, counts["tries"], *(counts["ends"].get(why, 0) for why in ENDS)])
    headers = ["Task", "Tries", *(why.replace("_", " ") for why in ENDS)]
    caption = (
        f"How tries ended. Perturbations: {state['perturbations']}; asked for help: "
        f"{state['asked_for_help']}; resets after the first set-up: {max(state['resets'] - 1, 0)}."
    )
    return Section("Practice", *blocks, Table(headers, rows, caption=caption))


def binned(tries: Sequence[Try], rate: float) -> list[Tried]:
    """A task's tries in about 12 spans; those whose end says nothing of the weights are left out."""
    counted = [one for one in tries if one.ended in _COUNTED]
    size = max(-(-len(counted) // _BINS), 1)
    found = []
    for start in range(0, len(counted), size):
        span = counted[start : start + size]
        minute = sum(one.last for one in span) / len(span) / rate / 60
        found.append(Tried(minute, len(span), sum(one.ended == "success" for one in span)))
    return found


def _measured(run: Path) -> list[Section]:
    """What the task measures besides success."""
    if not (run / MEASURED).exists():
        return []
    both = read_json(run / MEASURED)
    rows = [[what.replace("_", " "), *(f"{both[name][what]:.3f}" for name in ("before", "best"))]
            for what in both["before"]]  # fmt: skip
    caption = "Means over the episodes in which weights are judged: m/s, rad/s, and s before the first fall."
    return [Section("Measured", Table(["", "Before", "Best weights"], rows, caption=caption))]


def _quality(run: Path) -> list[Section]:
    """How well pictures told success, where the simulator knew; frame by frame while practising."""
    files = [*run.glob(f"*{QUALITY}"), *run.glob(f"lock_step/*{QUALITY}")]
    if not files:
        return []
    rows = []
    for task, cells in read_json(max(files)).items():
        positives = cells["true_positive"] + cells["false_negative"]
        negatives = cells["false_positive"] + cells["true_negative"]
        said = cells["true_positive"] + cells["false_positive"]
        rates = ((cells["false_negative"], positives), (cells["false_positive"], negatives),
                 (cells["true_positive"], said))  # fmt: skip
        rows.append([task, positives, negatives, *(_rate(count, of) for count, of in rates)])
    headers = ["Task", "Frames of success", "Other frames", "Missed", "False alarms", "Precision"]
    caption = "What the pictures said against the simulator's own test, with 95 % Wilson intervals."
    return [Section("Label quality", Table(headers, rows, caption=caption))]


def _others(run: Path) -> list[Section]:
    """What became of the tasks that were not practised."""
    if not (run / OTHERS).exists():
        return []
    rows = [[task, *(_rate(both[name][1], both[name][0]) for name in ("before", "best"))]
            for task, both in read_json(run / OTHERS).items()]  # fmt: skip
    caption = "Success on tasks of pre-training that were not practised, with 95 % Wilson intervals."
    return [Section("Other tasks", Table(["Task", "Before", "Best weights"], rows, caption=caption))]


def _rate(count: int, of: int) -> str | None:
    if not of:
        return None
    found = wilson(count, of)
    return f"{found.mean:.1%} ({found.low:.1%} to {found.high:.1%})"


def _pictures(run: Path) -> Section:
    """Strips of the first and the latest tries."""
    from robot_rl.cli.reset_free_film import FIRST, strips

    blocks: list[Block] = []
    found = strips(run)
    for place, path in enumerate(found):
        episode, task, why, _ = path.name.split(".")
        when = "first" if place < FIRST else "latest"
        caption = f"Try {int(episode) + 1} ({when}), {task.replace('_', ' ')}: {why.replace('_', ' ')}."
        blocks.append(Figure(path.read_bytes(), caption))
    return Section("First and latest tries", *(blocks or [Text("No pictures were kept.")]))


def _versions(ledger: WeightsLedger, tasks: Sequence[str]) -> Section:
    """All weights that were given out."""
    rows, best = [], ledger.best()
    for version in ledger.versions():
        judged, own = ledger.tally(version.number), ledger.tally(version.number, "practice")
        rows.append([version.number, version.step, _status(version), *(_share(judged, t) for t in tasks),
                     *(_share(own, t) for t in tasks)])  # fmt: skip
    headers = ["Version", "Step", "Found", *tasks, *(f"{task}, own" for task in tasks)]
    highlight = next((k for k, row in enumerate(rows) if best and row[0] == best.number), None)
    caption = (
        "Judged success, and that of the robot's own tries. Weights found worse than the best are rejected."
    )
    return Section("Weights", Table(headers, rows, caption=caption, highlight=highlight))


def _status(version: Version) -> str:
    return {"candidate": "not judged"}.get(version.status, version.status)


def _share(tally: Tally, task: str) -> str | None:
    tries, successes = tally.get(task, (0, 0))
    return f"{successes} of {tries}" if tries else None
