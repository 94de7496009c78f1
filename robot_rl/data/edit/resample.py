"""Brings an episode to another rate.

New step j takes the time from j / rate to (j + 1) / rate; it covers the source's steps that begin in it.
Where none does (a higher rate), the step under way goes on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robot_rl.data.edit.frames import TakenFrames
from robot_rl.data.episode import IMAGE, Episode
from robot_rl.errors import BadInput

ACTIONS = ("last", "mean", "sum")
STATES = ("interpolate", "last")
_ROUND = 1e-9  # of a step: rates such as 1/3 do not fall between two steps by rounding


def resample_episode(
    episode: Episode,
    rate: float,
    *,
    states: str = "interpolate",
    actions: str = "last",
    where: str = "episode",
) -> Episode:
    """The episode at `rate` (Hz); its duration stays, the last new step may reach beyond it.

    States and other vectors at the new times: between the two nearest ("interpolate"; after the last step,
    towards the final observation where there is one) or the "last" one at or before. Actions of the steps
    covered: the "last" (targets, the default), their "mean" (velocities) or their "sum" (displacements; what
    is cut into several is shared out evenly). Pictures and labels: the nearest. Rewards: summed, so the
    return stays. Success: any. `terminated` and the final observation stay. Raises BadInput, naming `where`,
    if fewer than two steps come out.
    """
    check_choices(states, actions)
    length, ratio = len(episode), episode.fps / rate
    steps = int(np.ceil(length / ratio - _ROUND))
    if steps < 2:
        raise BadInput(
            f"{where}: its {length} steps at {episode.fps:g} Hz are {steps} at {rate:g} Hz; needs 2"
        )
    begin = np.ceil(np.arange(steps + 1) * ratio - _ROUND).astype(np.int64)
    begin[-1] = length
    times = np.arange(steps) * ratio  # in steps of the source
    under_way = np.minimum(np.floor(times + _ROUND).astype(np.int64), length - 1)
    nearest = np.minimum(np.floor(times + 0.5 + _ROUND).astype(np.int64), length - 1)
    covered = begin[1:] > begin[:-1]
    observations = {
        key: TakenFrames(value, nearest)
        if key.startswith(IMAGE)
        else _states(value, (episode.final_observation or {}).get(key), times, under_way, states)
        for key, value in episode.observations.items()
    }
    return replace(
        episode,
        fps=float(rate),
        observations=observations,
        actions=_actions(episode.actions, begin, under_way, covered, actions),
        rewards=None if episode.rewards is None else _sums(episode.rewards, begin),
        success=None if episode.success is None else _any(episode.success, begin, under_way, covered),
        labels={name: values[nearest] for name, values in episode.labels.items()},
    )


def check_choices(states: str, actions: str) -> None:
    """Raise BadInput for a way that is not known."""
    for name, value, known in (("states", states, STATES), ("actions", actions, ACTIONS)):
        if value not in known:
            raise BadInput(f"{name}: '{value}' is no way to resample; choose {' or '.join(known)}")


def _states(
    values: np.ndarray, final: np.ndarray | None, times: np.ndarray, under_way: np.ndarray, how: str
) -> np.ndarray:
    if how == "last":
        return values[under_way]
    known = values if final is None else np.concatenate([values, np.asarray(final)[None]])
    after = np.minimum(under_way + 1, len(known) - 1)
    share = np.clip(times - under_way, 0, 1)[:, None]
    share = np.where(share < _ROUND, 0, share)
    return ((1 - share) * known[under_way] + share * known[after]).astype(np.float32)


def _sums(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """Sums (n, ...) of `values` over steps begin[j] to begin[j + 1] - 1, 0 where there is none."""
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])
    return (total[begin[1:]] - total[begin[:-1]]).astype(np.float32)


def _actions(
    values: np.ndarray, begin: np.ndarray, under_way: np.ndarray, covered: np.ndarray, how: str
) -> np.ndarray:
    if how == "last":
        return values[np.where(covered, begin[1:] - 1, under_way)]
    if how == "mean":
        count = np.maximum(np.diff(begin), 1)[:, None]
        return np.where(covered[:, None], _sums(values, begin) / count, values[under_way]).astype(np.float32)
    # What a step moves is shared by the new steps during which it is under way.
    owner = np.where(covered, begin[:-1], under_way)
    shares = np.bincount(owner, minlength=len(values))
    moved = np.where(covered[:, None], _sums(values, begin), values[under_way])
    return (moved / shares[owner][:, None]).astype(np.float32)


def _any(values: np.ndarray, begin: np.ndarray, under_way: np.ndarray, covered: np.ndarray) -> np.ndarray:
    return np.where(covered, _sums(values, begin) > 0, values[under_way])
