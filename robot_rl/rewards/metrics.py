"""How often answers about pairs, or a learned reward, agree with a true reward where one is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput
from robot_rl.rewards.checks import check_vector


@dataclass(frozen=True)
class GapAccuracy:
    """Pair accuracy against a true reward; shares in [0, 1], NaN where nothing was counted."""

    overall: float
    clear: float  # on the third of the pairs with the largest |true gap|
    by_bin: np.ndarray  # (bins,) float64, from the smallest |true gap| to the largest
    count: np.ndarray  # (bins,) int64, pairs in each bin


def accuracy_by_gap(difference: np.ndarray, gap: np.ndarray, bins: int = 3) -> GapAccuracy:
    """Share of pairs whose `difference` (M,) has the sign of the true `gap` (M,), overall and by |gap|.

    Both are second minus first: `difference` of a score, or a label's p - 1/2; `gap` of a true reward.
    A difference of 0 counts one half; pairs with a gap of 0 are left out: there is nothing to be right
    about. The `bins` hold equally many pairs. Raises BadInput.
    """
    gap = check_vector("gap", gap, np.size(gap), -np.inf)
    difference = check_vector("difference", difference, len(gap), -np.inf)
    if bins < 1:
        raise BadInput(f"bins: must be at least 1, not {bins}")
    right = ((1 + np.sign(difference) * np.sign(gap)) / 2)[gap != 0]
    right = right[np.argsort(np.abs(gap[gap != 0]), kind="stable")]  # from unclear to clear
    parts = np.array_split(right, bins)
    clear = right[len(right) - -(-len(right) // 3) :]
    by_bin = np.array([_share(part) for part in parts])
    return GapAccuracy(_share(right), _share(clear), by_bin, np.array([len(part) for part in parts]))


def _share(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else float("nan")
