"""The parts of a page that show a training or an online run: its curves, its results, and its data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.cli.reset_free_report import QUEUE, reset_free_page
from robot_rl.data.findings import inspect_dataset
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.report import figures
from robot_rl.report.episodes import camera_of, choose
from robot_rl.report.inspection import episodes_section, findings_section
from robot_rl.report.learning_curve import Point, learning_curve
from robot_rl.report.page import Block, Callout, Figure, KeyFigure, KeyFigures, Section, Text
from robot_rl.specs.yaml_model import read_yaml

_DRAWN, _PICTURED = 4, 12  # episodes of the data that are drawn, and whose pictures are looked at
_NOT_CURVES = {"step", "updates", "updates_per_s", "steps_per_s", "episode"}


def run_page(run: Path, data: Path | None) -> tuple[str, str, list[Section], int]:
    """Title, subtitle, sections and seed of the page on a run of `train` or `finetune`. Raises BadInput."""
    if (run / QUEUE).exists():
        return reset_free_page(run, data)
    online = (run / "online.jsonl").exists()
    path = run / ("online.jsonl" if online else "train.jsonl")
    head, *rows = read_lines(path)
    spec = json.loads((run / "policy.json").read_text()) if (run / "policy.json").exists() else {}
    sections = [_head(run, head, rows, spec)]
    if online:
        sections.append(_learning(rows))
    sections += [curves_section(rows, "environment step" if online else "update"), *_data(run, data)]
    kind = "Goes on learning in simulation" if online else "Trained on recorded episodes"
    subtitle = f"{kind}: {spec.get('algorithm', 'unknown algorithm')}, {run.resolve().name}."
    title = spec.get("task_text") or spec.get("task") or run.resolve().name
    return title[0].upper() + title[1:], subtitle, sections, head.get("config", {}).get("seed", 0)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, of which a kill may have cut the last. Raises BadInput for others."""
    found = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise BadInput(f"{path}: line {number} is no JSON; the log is damaged") from error
    if not found:
        raise BadInput(f"{path}: the log is empty; let the run go on first")
    return found


def _head(run: Path, head: dict[str, Any], rows: Sequence[dict], spec: dict[str, Any]) -> Section:
    config = head.get("config", {})
    done = max((row["step"] for row in rows if "step" in row), default=0)
    items = [
        KeyFigure(str(spec.get("algorithm", "?")), "algorithm"),
        KeyFigure(f"{done:,}", "steps", f"of {config.get('steps', done):,}"),
    ]
    evaluation, error = (_result(run / name) for name in ("evaluation.json", "action_error.json"))
    if evaluation:
        count = (
            evaluation["episodes"] if isinstance(evaluation["episodes"], int) else len(evaluation["episodes"])
        )
        items.append(KeyFigure(f"{100 * evaluation['success']:.0f} %", "success", f"{count} episodes"))
    if error and error.get("rms_in_std") is not None:
        items.append(KeyFigure(f"{error['rms_in_std']:.2f}", "action error", "std of held-out actions"))
    return Section("", KeyFigures(items))


def _result(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def _learning(rows: Sequence[dict[str, Any]]) -> Section:
    """Success and returns over the steps in the environment."""
    names = ("eval_success", "eval_success_low", "eval_success_high")
    points = [Point(row["step"], *(row[name] for name in names)) for row in rows if "eval_success" in row]
    blocks: list[Block] = []
    if points:
        caption = "Success of the policy without noise on the same starts, with its 95 % interval."
        blocks.append(Figure(learning_curve(points), caption))
    played = [row for row in rows if "episode_return" in row]
    if len(played) > 1:
        steps, returns = (np.array([row[name] for row in played]) for name in ("step", "episode_return"))
        image = figures.curves({"episode": (steps, returns)}, "return", "environment step")
        blocks.append(Figure(image, "Return of each episode that was played while learning."))
    return Section("Learning", *(blocks or [Text("No evaluation is in the log yet.")]))


def curves_section(rows: Sequence[dict[str, Any]], xlabel: str) -> Section:
    """Every number that the log follows."""
    names = dict.fromkeys(
        name
        for row in rows
        for name, value in row.items()
        if isinstance(value, int | float)
        and name not in _NOT_CURVES
        and not name.startswith(("eval_", "episode_"))
    )
    blocks: list[Block] = []
    for name in names:
        kept = [row for row in rows if name in row]
        steps, values = (np.array([row[key] for row in kept], float) for key in ("step", name))
        if len(steps) > 1 and np.isfinite(values).any():
            image = figures.curves({name: (steps, values)}, name.replace("_", " "), xlabel, half=True)
            blocks.append(Figure(image, "", half=True))
    return Section("Training", *(blocks or [Text("The log has fewer than two lines of numbers.")]))


def _data(run: Path, data: Path | None) -> list[Section]:
    """What the run learned from, where it can still be found."""
    made = read_yaml(run / "config.yaml") if (run / "config.yaml").exists() else {}
    told = data or made.get("dataset") or made.get("data")
    if told is None and made.get("run") and (Path(made["run"]) / "config.yaml").exists():
        told = read_yaml(Path(made["run"]) / "config.yaml").get(
            "dataset"
        )  # an online run begins with another
    if told is None:
        return []
    if data is None and not Path(told).exists():
        return [Section("Data", Callout("info", f"{told} is not there any more; name its place by --data."))]
    return data_sections(Dataset.open(told), None)


def data_sections(dataset: Dataset, camera: str | None) -> list[Section]:
    """Findings and some episodes of a dataset, as `robot-rl inspect` shows them."""
    inspection = inspect_dataset(dataset, _PICTURED)
    drawn = choose(dataset, inspection, _DRAWN)
    return [
        findings_section(dataset, inspection),
        episodes_section(dataset, inspection, drawn, camera_of(dataset, camera)),
    ]
