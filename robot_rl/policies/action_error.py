"""How far a policy's actions are from recorded ones: a check on real data, where no simulator can run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robot_rl.policies.checkpoint import PolicySpec


@dataclass(frozen=True)
class ActionError:
    """Errors of one action dimension, in its unit and in standard deviations of the data.

    Always choosing the data's mean action has an `rms_in_std` of about 1. None where the data do not move.
    """

    name: str
    unit: str
    mean_absolute: float
    rms: float
    std: float
    mean_absolute_in_std: float | None
    rms_in_std: float | None


def action_errors(
    spec: PolicySpec, chosen: np.ndarray, actions: np.ndarray, action_std: np.ndarray
) -> list[ActionError]:
    """Compare a policy's actions (N, A) with the recorded ones (N, A); `action_std` (A,) scales."""
    difference = np.asarray(chosen, np.float64) - actions
    absolute = np.abs(difference).mean(0)
    rms = np.sqrt(np.square(difference).mean(0))
    columns = (spec.action_names, spec.action_units, absolute, rms, action_std)
    return [_one(*row) for row in zip(*columns, strict=True)]


def _one(name: str, unit: str, absolute: float, rms: float, std: float) -> ActionError:
    relative = (float(absolute / std), float(rms / std)) if std > 0 else (None, None)
    return ActionError(name, unit, float(absolute), float(rms), float(std), *relative)


def summary(errors: list[ActionError]) -> dict[str, Any]:
    """JSON-able: each dimension's errors, and the means of the relative ones over what moves."""
    moving = [error for error in errors if error.rms_in_std is not None]
    return {
        "mean_absolute_in_std": _mean([error.mean_absolute_in_std for error in moving]),
        "rms_in_std": _mean([error.rms_in_std for error in moving]),
        "actions": [asdict(error) for error in errors],
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
