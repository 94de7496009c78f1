"""How good labels are: against the true reward or success where one is known, and against themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rl.cli.asking import Asked, Asking, ask, swapped
from robot_rl.cli.common import progress
from robot_rl.cli.judging import true_reward
from robot_rl.data.store import Dataset
from robot_rl.errors import BadInput
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Labeler, Outcome
from robot_rl.report.statistics import expected_calibration_error, order_within_episodes, spearman
from robot_rl.rewards.metrics import accuracy_by_gap
from robot_rl.rewards.model import RewardModel

_SWAPPED = 200  # held-out questions that are asked the other way round as well
_BINS = 5


@dataclass(frozen=True)
class Evaluation:
    """The measures, and the held-out pairs that they come from."""

    measures: dict[str, Any]  # JSON-able; None where nothing could be measured
    asked: Asked  # the held-out pairs alone
    gap: np.ndarray  # (M,) true value of the second minus that of the first


def truth(dataset: Dataset) -> tuple[np.ndarray, str]:
    """The true value (N,) of every frame and what it is; BadInput where the dataset knows none."""
    reward = true_reward(dataset)
    if reward is not None and np.ptp(reward) > 0:
        return np.asarray(reward, np.float64), "true reward"
    if dataset.info.has_success and np.ptp(dataset.column("next.success").astype(float)) > 0:
        return dataset.column("next.success").astype(np.float64), "success"
    raise BadInput(
        f"{dataset.root}: --evaluate needs a true reward (next.reward) or success (next.success) that is not "
        "the same everywhere; this dataset has neither, so leave it out: held-out agreement is shown anyway"
    )


def evaluate(
    dataset: Dataset,
    labeler: Labeler | None,
    asking: Asking,
    asked: Asked,
    labels: LabelStore,
    seed: int,
) -> Evaluation:
    """Measure a labeler's answers on held-out pairs; some of these are asked the other way round for it."""
    value, what = truth(dataset)
    held = _only_held_out(asked)
    gap = _gap(held, value)
    again = None
    if labeler is not None:  # people are not asked again
        with progress(None, "asking in the other order", "pairs") as advance:
            again = ask(labeler, swapped(asking, _SWAPPED, seed), labels, advance)
    measures = {
        "truth": what,
        "held_out_pairs": len(held.pairs),
        **_right(held, gap),
        **_outcome_shares(held),
        **({} if again is None else _both_orders(held, again)),
        "always_first_accuracy": _always_first(gap),
    }
    return Evaluation(measures, held, gap)


def measure_reward(dataset: Dataset, model: RewardModel, vectors: np.ndarray, evaluation: Evaluation) -> dict:
    """Measure the learned reward against the truth: the same pairs, correlation, order in time."""
    value, _ = truth(dataset)
    mean = model.reward(vectors)[0]
    pairs = np.array([(p.first, p.second) for p in evaluation.asked.pairs])
    said = model.probability(vectors, evaluation.asked.look.moments(pairs)) - 0.5
    found = accuracy_by_gap(said, evaluation.gap, _BINS)
    order = order_within_episodes(mean, dataset.episode_index)
    best = np.ones(len(dataset), bool)
    if dataset.info.has_success:
        best = np.logical_or.reduceat(dataset.column("next.success"), dataset.starts)
    return {
        "reward_accuracy": _finite(found.overall),
        "reward_accuracy_clear": _finite(found.clear),
        "reward_rank_correlation": _finite(spearman(mean, value)),
        "value_order_correlation": _mean(order),
        "value_order_correlation_successful": _mean(order[best]) if dataset.info.has_success else None,
    }


def _only_held_out(asked: Asked) -> Asked:
    keep = np.flatnonzero(asked.held_out)
    pairs, answers = ([values[i] for i in keep] for values in (asked.pairs, asked.answers))
    return Asked(tuple(pairs), tuple(answers), np.ones(len(keep), bool), asked.look)


def _gap(asked: Asked, value: np.ndarray) -> np.ndarray:
    """True value (M,) of each second minus that of each first, by the frame at the end of a strip."""
    pairs = np.array([(pair.first, pair.second) for pair in asked.pairs], np.int64).reshape(-1, 2)
    return value[pairs[:, 1]] - value[pairs[:, 0]]


def _right(asked: Asked, gap: np.ndarray) -> dict[str, Any]:
    """Accuracy and calibration; a tie or a missing answer is half right, as a coin's toss would be."""
    p = np.array([0.5 if a.p is None else a.p for a in asked.answers])
    found = accuracy_by_gap(p - 0.5, gap, _BINS)
    counted = (gap != 0) & (p != 0.5)
    right = ((p > 0.5) == (gap > 0))[counted]
    sure = np.maximum(p, 1 - p)[counted]
    return {
        "label_accuracy": _finite(found.overall),
        "label_accuracy_clear": _finite(found.clear),
        "label_accuracy_decided": float(right.mean()) if len(right) else None,
        "accuracy_by_gap": [_finite(share) for share in found.by_bin],
        "calibration_error": expected_calibration_error(sure, right) if len(right) else None,
    }


def _outcome_shares(asked: Asked) -> dict[str, float]:
    """How many questions were decided, and what became of the others."""
    count = max(1, len(asked.answers))
    shares = {kind: sum(a.outcome is kind for a in asked.answers) / count for kind in Outcome}
    return {
        "coverage": shares[Outcome.PREFERENCE],
        "ties": shares[Outcome.TIE],
        "cannot_tell": shares[Outcome.CANNOT_TELL],
        "failed": shares[Outcome.FAILED],
    }


def _both_orders(given: Asked, again: Asked) -> dict[str, Any]:
    """Compare the answers to the same pairs in both orders: do they agree, and do they lean to one side?"""
    by_pair = dict(zip(given.pairs, given.answers, strict=True))
    both = [
        (by_pair[pair].p, other.p)
        for pair, other in zip(again.pairs, again.answers, strict=True)
        if by_pair[pair].p not in (None, 0.5) and other.p not in (None, 0.5)
    ]
    if not both:
        return {"swapped_pairs": 0, "swap_consistency": None, "first_shown_share": None}
    p, other = np.array(both).T  # both are about the pair as given
    first_shown = np.concatenate([p < 0.5, other > 0.5])
    return {
        "swapped_pairs": len(both),
        "swap_consistency": float(((p > 0.5) == (other > 0.5)).mean()),
        "first_shown_share": float(first_shown.mean()),  # one half where the place does not matter
    }


def _always_first(gap: np.ndarray) -> float | None:
    """How often a judge that always names the first picture would be right."""
    decided = gap[gap != 0]
    return float((decided < 0).mean()) if len(decided) else None


def _mean(values: np.ndarray) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


ROWS = {
    "label_accuracy": "accuracy against the truth; a tie or no answer counts one half",
    "label_accuracy_clear": "the same on clear pairs (third with the largest true gap)",
    "label_accuracy_decided": "the same where the judge preferred one",
    "coverage": "share of pairs with a preference",
    "ties": "share of ties",
    "cannot_tell": "share of cannot tell",
    "failed": "share without an answer",
    "calibration_error": "expected calibration error of the labels",
    "swap_consistency": "same answer when shown the other way round",
    "first_shown_share": "share of answers for the picture shown first (0.5: no position bias)",
    "always_first_accuracy": "accuracy of always naming the first picture",
    "reward_accuracy": "accuracy of the learned reward on the same pairs",
    "reward_accuracy_clear": "the same on clear pairs",
    "reward_rank_correlation": "rank correlation of the learned reward with the truth",
    "value_order_correlation": "rank correlation of the learned reward with time, mean over episodes",
    "value_order_correlation_successful": "the same over episodes that succeed",
}


def rows(measures: dict[str, Any]) -> list[tuple[str, str]]:
    """The measures as rows of a table: what it is, and its value."""
    return [(told, _told(measures[name])) for name, told in ROWS.items() if name in measures]


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
