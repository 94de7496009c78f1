"""The labels of `robot-rl success`: what frames of a dataset show, from a column, people or a chat model."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from robot_rl.cli.asking import Goal
from robot_rl.cli.common import progress
from robot_rl.cli.labeling import beside
from robot_rl.cli.success import Config
from robot_rl.data import layout
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.rewards import success_frames

_YES, _NO = ("1", "true", "yes", "y"), ("0", "false", "no", "n")


@dataclass(frozen=True)
class Shown:
    """What is known of a dataset's frames."""

    truth: np.ndarray  # (N,) bool
    known: np.ndarray  # (N,) bool
    source: str  # in words


def known_of(dataset: Dataset, truth: str = "column") -> Shown:
    """What is known before anybody is asked: people's labels in a FILE.csv, or the success column."""
    if truth.endswith(".csv"):
        return read_csv(Path(truth), dataset)
    if not dataset.info.has_success:
        raise BadInput(
            f"{dataset.root}: has no success (column {layout.SUCCESS}); label some frames in a FILE.csv with "
            "the columns episode, frame, success, and give it as --labels or --truth"
        )
    success = dataset.column(layout.SUCCESS)
    truth, known = success_frames.shown(success, dataset.starts)
    if success.any() and not truth.any():
        raise BadInput(
            f"{dataset.root}: column {layout.SUCCESS} is true only for the last action of an episode, and "
            "what that reached is in no frame; label frames in a FILE.csv (episode, frame, success)"
        )
    return Shown(truth, known, f"column {layout.SUCCESS}")


def read_csv(path: Path, dataset: Dataset) -> Shown:
    """People's labels: lines of episode, frame and success; raises BadInput by line."""
    truth, known = np.zeros((2, dataset.info.total_frames), bool)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            missing = {"episode", "frame", "success"} - set(lines.fieldnames or ())
            if missing:
                raise BadInput(f"{path}: has no column '{min(missing)}'; it needs episode, frame, success")
            for line in lines:
                index, value = _row(line, dataset, f"{path}: line {lines.line_num}")
                truth[index], known[index] = value, True
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: the labels cannot be read: {error}") from error
    return Shown(truth, known, f"{int(known.sum())} labels in {path.name}")


def _row(line: dict[str, str], dataset: Dataset, where: str) -> tuple[int, bool]:
    """A line's global frame and label."""
    try:
        episode, frame = int(line["episode"]), int(line["frame"])
    except (TypeError, ValueError):
        raise BadInput(f"{where}: episode and frame must be whole numbers") from None
    if not 0 <= episode < len(dataset):
        raise BadInput(f"{where}: there is no episode {episode}; they go from 0 to {len(dataset) - 1}")
    if not 0 <= frame < dataset.lengths[episode]:
        raise BadInput(
            f"{where}: episode {episode} has no frame {frame}; "
            f"they go from 0 to {dataset.lengths[episode] - 1}"
        )
    word = str(line["success"]).strip().lower()
    if word not in _YES + _NO:
        raise BadInput(f"{where}: success must be 1 or 0, not {line['success']!r}")
    return int(dataset.starts[episode]) + frame, word in _YES


def ask_chat(config: Config, dataset: Dataset, camera: str, goal: Goal, frames: np.ndarray) -> np.ndarray:
    """A chat model's probability (n,) that `frames` (n,) show the goal; NaN where it said nothing usable."""
    from robot_rl.preferences.chat.announce import announcement
    from robot_rl.preferences.chat.labeler import ChatLabeler
    from robot_rl.preferences.goal import ask_goal, goal_questions
    from robot_rl.preferences.store import LabelStore

    if config.samples > 1 and not config.chat.temperature:
        raise BadInput(
            "--samples: at temperature 0 every answer is the same; give --chat.temperature, such as 1"
        )
    labeler = ChatLabeler(config.chat, about="goal")
    labelers = [labeler, *(labeler.again(k) for k in range(1, config.samples))]
    pictures = partial(dataset.frames, camera)
    questions = goal_questions(frames, pictures, goal.text, goal.opposite)
    with LabelStore(config.store or beside(config.dataset, ".labels.sqlite")) as store:
        print(announcement(labeler, questions, pictures, store), flush=True)
        with progress(len(questions), "asking", "frames") as advance:
            found = ask_goal(labelers, questions, pictures, store, advance, print)
    how = "log probabilities" if found.soft else f"share of yes in {config.samples}"
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in found.outcomes.items() if count)
    print(f"labels: {counts.replace('preference', 'yes or no')} by {config.chat.model} ({how})")
    return found.p
