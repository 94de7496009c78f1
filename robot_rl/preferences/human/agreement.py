"""How far raters agree: the share of equal answers, and Cohen's kappa, which takes chance out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from robot_rl.preferences.human.answer import category
from robot_rl.preferences.types import Preference


@dataclass(frozen=True)
class Agreement:
    """Two raters on the questions that both answered."""

    first: str
    second: str
    questions: int
    observed: float | None  # share of equal answers, in [0, 1]; None without questions
    kappa: float | None  # Cohen's, at most 1; None where chance alone makes all answers equal


def agreements(
    per_rater: Mapping[str, Mapping[int, Preference]], counted: Collection[int]
) -> tuple[Agreement, ...]:
    """Compare each two raters on the question indices `counted`, which leave out repeats of one question."""
    found = []
    for (one, his), (other, hers) in combinations(per_rater.items(), 2):
        both = [i for i in counted if i in his and i in hers]
        said = [category(his[i]) for i in both], [category(hers[i]) for i in both]
        equal = sum(a == b for a, b in zip(*said, strict=True))
        observed = equal / len(both) if both else None
        found.append(Agreement(one, other, len(both), observed, cohens_kappa(*said)))
    return tuple(found)


def cohens_kappa(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Agreement beyond chance of two lists of categories: (observed - expected) / (1 - expected).

    None without items, and where both name one and the same category throughout (J. Cohen, 1960).
    """
    n = len(one)
    equal = sum(a == b for a, b in zip(one, other, strict=True))
    counts = Counter(one), Counter(other)
    chance = sum(counts[0][name] * counts[1][name] for name in counts[0])  # in n * n-ths, hence exact
    return (n * equal - chance) / (n * n - chance) if n * n != chance else None
