"""The page of `robot-rl label --evaluate`: measures, and the pictures of the pairs behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl import __version__
from robot_rl.cli.label_evaluation import Evaluation, rows
from robot_rl.cli.label_report import reward_section
from robot_rl.data.store import Dataset
from robot_rl.data.video_write import encode_png
from robot_rl.preferences.types import Preference
from robot_rl.report import figures
from robot_rl.report.page import (
    Block,
    Callout,
    Figure,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    write_page,
)
from robot_rl.report.statistics import accuracy_by_quantile

_SHOWN = 6  # pairs of a kind
_SIDE, _GAP = 160, 8  # px: least height of a picture, and what lies between the two
_ENOUGH = 10  # decided pairs, for a picture of accuracy by gap


def write_evaluation(
    path: Path, evaluation: Evaluation, labeled: Dataset | None, camera: str, goal: str, judge: str
) -> Path:
    """Write the page; `labeled` shows the learned reward over filmstrips where there is one."""
    sections = [Section("", _key_figures(evaluation)), _measures(evaluation), *_pairs(evaluation)]
    if labeled is not None:
        sections.append(reward_section(labeled, camera))
    told = f"Labels by {judge}, against the {evaluation.measures['truth']}, on held-out episodes."
    return write_page(path, goal, told, sections, footer=f"robot_rl {__version__}")


def _key_figures(evaluation: Evaluation) -> KeyFigures:
    names = {
        "label_accuracy": ("label accuracy", "ties count one half"),
        "label_accuracy_clear": ("on clear pairs", "third with the largest gap"),
        "coverage": ("decided", "share of pairs with a preference"),
        "swap_consistency": ("consistent", "same answer when swapped"),
    }
    found = [(evaluation.measures.get(name), *words) for name, words in names.items()]
    return KeyFigures(
        [KeyFigure("–" if share is None else f"{100 * share:.0f} %", *words) for share, *words in found]
    )


def _measures(evaluation: Evaluation) -> Section:
    blocks: list[Block] = [Table(["Measure", "Value"], rows(evaluation.measures))]
    p, gap = _p(evaluation), evaluation.gap
    counted = (gap != 0) & (p != 0.5)
    right = (p > 0.5) == (gap > 0)
    if counted.sum() >= _ENOUGH:
        bins = accuracy_by_quantile(np.abs(gap)[counted], right[counted], 5)
        label = f"gap in {evaluation.measures['truth']}"
        image = figures.accuracy_by_gap(bins.edges, bins.accuracy, bins.count, label=label)
        blocks.append(Figure(image, "Decided pairs, with 95 % intervals.", "Accuracy by gap", half=True))
        sure = np.maximum(p, 1 - p)[counted]
        caption = "The judge's own confidence against how often it is right; on the dashed line it knows."
        blocks.append(Figure(figures.reliability(sure, right[counted]), caption, "Reliability", half=True))
    return Section("How good the labels are", *blocks)


def _p(evaluation: Evaluation) -> np.ndarray:
    """p (M,), one half where there is no preference."""
    return np.array([0.5 if answer.p is None else answer.p for answer in evaluation.asked.answers])


def _pairs(evaluation: Evaluation) -> list[Section]:
    """Pairs that the judge got wrong, and those it was most and least sure of."""
    p, gap = _p(evaluation), evaluation.gap
    sure = np.abs(p - 0.5)
    wrong = np.flatnonzero((gap != 0) & (p != 0.5) & ((p > 0.5) != (gap > 0)))
    decided = np.flatnonzero(p != 0.5)
    weight = np.abs(gap[wrong])  # a wrong answer to a clear pair says most
    kinds = (
        ("Wrong answers", wrong[np.argsort(-weight, kind="stable")], "of the largest true gaps"),
        ("Most certain", decided[np.argsort(-sure[decided], kind="stable")], "right or wrong"),
        ("Least certain", np.argsort(sure, kind="stable"), "ties and missing answers first"),
    )
    return [_gallery(title, evaluation, indices[:_SHOWN], note) for title, indices, note in kinds]


def _gallery(title: str, evaluation: Evaluation, indices: np.ndarray, note: str) -> Section:
    if not len(indices):
        return Section(title, Callout("info", "There are none among the held-out pairs."))
    blocks = [_pair(evaluation, int(index)) for index in indices]
    places = "above is the first, below" if evaluation.asked.look.strip else "left is the first, right"
    told = f"{len(indices)} held-out pairs, {note}; {places} the second."
    return Section(title, Text(told), *blocks)


def _pair(evaluation: Evaluation, index: int) -> Figure:
    """One pair side by side, with what the judge said and what is true."""
    pair, answer, gap = evaluation.asked.pairs[index], evaluation.asked.answers[index], evaluation.gap[index]
    first, second = (
        evaluation.asked.look.frames(np.array([frame]))[0] for frame in (pair.first, pair.second)
    )
    factor = max(1, -(-_SIDE // first.shape[0]))  # small pictures are enlarged without smoothing
    first, second = (np.kron(image, np.ones((factor, factor, 1), np.uint8)) for image in (first, second))
    axis = 0 if evaluation.asked.look.strip is not None else 1  # strips are wide already
    between = np.full((_GAP, first.shape[1], 3) if axis == 0 else (first.shape[0], _GAP, 3), 255, np.uint8)
    picture = np.concatenate([first, between, second], axis)
    true = "equally near" if gap == 0 else "second nearer" if gap > 0 else "first nearer"
    told = f"Judge: {_said(answer)}. Truth: {true} (gap {gap:+.2g}). Frames {pair.first} and {pair.second}."
    words = answer.rationale or answer.error
    return Figure(encode_png(picture), f"{told} {'“' + words + '”' if words else ''}".strip(), half=True)


def _said(answer: Preference) -> str:
    if answer.outcome.value != "preference":
        return answer.outcome.value.replace("_", " ")
    side = "second nearer" if answer.p > 0.5 else "first nearer"
    return f"{side}, {max(answer.p, 1 - answer.p):.2f} sure"
