"""How many pairs with how many wrong labels a reward model needs: accuracy on clear pairs of unseen episodes.

On frames of drawer_open, the heads on the in-domain encoder's features are fitted to answers of the oracle,
of which a chosen share is wrong. Measured on uniform pairs of frames from episodes that no training pair
touches: overall, and on the third with the largest true gap.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from robot_rl.cli.common import progress
from robot_rl.preferences.oracle import OracleLabeler
from robot_rl.preferences.pairs import random_pairs
from robot_rl.preferences.run import make_questions
from robot_rl.preferences.types import Question
from robot_rl.rewards.metrics import GapAccuracy, accuracy_by_gap
from robot_rl.rewards.model import RewardConfig, RewardModel
from tests.benchmarks._rows import Row, report
from tests.benchmarks.cascade import DATASET_SEEDS, EPISODES, Data, load

COUNTS, ERROR_RATES, SEEDS = (125, 250, 500, 1000, 2000, 6000), (0.0, 0.15, 0.3), (0, 1, 2, 3, 4)
MEASURED = 3000  # held-out pairs
HELD_OUT = 0.25  # share of episodes that no training pair touches
MAIN = (500, 0.15)


@dataclass(frozen=True)
class Split:
    """Training questions and held-out pairs of one dataset, for one seed."""

    data: Data
    vectors: np.ndarray  # (N, D)
    questions: list[Question]  # about frames of training episodes
    held_out: np.ndarray  # (MEASURED, 2) frames of the other episodes


def split(folder: Path, episodes: int, seed: int) -> Split:
    """Draw the most training pairs that are needed (fewer are a part of them) and the held-out ones."""
    data, dataset, vectors = load(folder, episodes, DATASET_SEEDS[seed % len(DATASET_SEEDS)])
    others = np.random.default_rng([seed, 1]).permutation(len(dataset))[: round(HELD_OUT * len(dataset))]
    out = np.isin(dataset.episode_index, others)
    pairs = random_pairs(np.flatnonzero(~out), max(COUNTS), seed)
    questions = make_questions(pairs, data.frames, data.task.goal, data.task.opposite)
    measured = random_pairs(np.flatnonzero(out), MEASURED, seed)
    return Split(data, vectors, questions, np.array([(pair.first, pair.second) for pair in measured]))


def fit_and_measure(part: Split, count: int, error_rate: float, seed: int) -> tuple[GapAccuracy, float]:
    """Fit to the first `count` pairs; return the accuracy on held-out pairs and the seconds that it took."""
    oracle = OracleLabeler(part.data.rewards, error_rate, seed=seed)
    questions = part.questions[:count]
    p = np.array([answer.p for answer in oracle.label(questions, part.data.frames)])
    pairs = np.array([(question.pair.first, question.pair.second) for question in questions])
    start = time.monotonic()
    model = RewardModel.fit(part.vectors, pairs, p, RewardConfig(seed=seed))
    seconds = time.monotonic() - start
    reward, true = model.reward(part.vectors)[0], part.data.rewards
    first, second = part.held_out.T
    return accuracy_by_gap(reward[second] - reward[first], true[second] - true[first]), seconds


def rows_of(splits: dict[int, Split], count: int, error_rate: float, advance) -> list[Row]:
    """Mean and range over seeds for one number of pairs and error rate; only the main one has a goal."""
    found = []
    for seed, part in splits.items():
        found.append(fit_and_measure(part, count, error_rate, seed))
        advance()
    name, main = f"{count}/{error_rate:g}", (count, error_rate) == MAIN
    clear, overall = (np.array([getattr(a, part) for a, _ in found]) for part in ("clear", "overall"))
    seconds = np.array([taken for _, taken in found])
    rows = []
    for kind, values, unit in (("clear_accuracy", clear, "share"), ("accuracy", overall, "share")):
        goal = (">=", 0.95) if main and kind == "clear_accuracy" else None
        note = f"{values.min():.3f} to {values.max():.3f} over seeds {list(splits)}"
        rows.append(Row.of(f"{kind}/{name}", round(float(values.mean()), 4), unit, goal, note))
    if error_rate == MAIN[1]:
        note = f"{seconds.min():.1f} to {seconds.max():.1f}, to fit"
        rows.append(Row.of(f"seconds/{count}", round(float(seconds.mean()), 2), "s", None, note))
    return rows


def main() -> None:
    """Run the benchmark; `--quick` is one seed on few episodes with few pairs, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="keeps the data; default: a temporary one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="reward-noise-"))
    seeds, counts = (SEEDS[:1], COUNTS[:3]) if options.quick else (SEEDS, COUNTS)
    splits = {seed: split(folder, 6 if options.quick else EPISODES, seed) for seed in seeds}
    rows: list[Row] = []
    with progress(len(counts) * len(ERROR_RATES) * len(seeds), "fit reward models", "fits") as advance:
        for count in counts:
            for error_rate in ERROR_RATES:
                rows += rows_of(splits, count, error_rate, advance)
    report("reward_noise", sorted(rows, key=lambda row: row.goal is None))


if __name__ == "__main__":
    main()
