"""Ranks whole episodes by how their frames fared in pairs, like players by their games; for any labeler.

The skills are Gaussian, as in TrueSkill; the update is Algorithm 1 (Bradley-Terry, full pair) of Weng and
Lin, "A Bayesian approximation method for online ranking", JMLR 12, 2011, by the package openskill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.errors import BadInput, need

EXTRA = "human"  # the extra that brings openskill


@dataclass(frozen=True)
class EpisodeSkill:
    """What is known of one episode; skills have no unit, they start at 25 with standard deviation 8.33."""

    place: int  # 1 is the best
    episode: int
    mu: float  # mean of its skill
    sigma: float  # standard deviation of its skill; how unsure the mean is
    games: int  # pairs with frames of other episodes that had an answer
    won: float  # of these; a tie counts one half


def rank_episodes(
    pairs: np.ndarray, p: Sequence[float | None] | np.ndarray, episode_of_frame: np.ndarray, seed: int = 0
) -> list[EpisodeSkill]:
    """Rank episodes by `mu`, the best first; one without a game keeps the `mu` that all start with.

    `pairs` (M, 2) global frame indices; `p` (M,) that the second frame is nearer the goal, None or NaN where
    there is no answer; `episode_of_frame` (N,) int. A game is won by the likelier frame, whatever the margin,
    and tied at exactly one half. Pairs within one episode are no games. The order of the games matters a
    little; it is shuffled by `seed`. Raises BadInput for pairs that do not fit.
    """
    pairs, p, episodes = _checked(pairs, p, episode_of_frame)
    model = need("openskill.models", EXTRA).BradleyTerryFull(tau=0.0)  # episodes do not change as they play
    skills = {int(episode): model.rating() for episode in np.unique(episodes)}
    games, won = dict.fromkeys(skills, 0), dict.fromkeys(skills, 0.0)
    for i in np.random.default_rng(seed).permutation(len(pairs)):
        first, second = (int(episodes[frame]) for frame in pairs[i])
        if first == second or math.isnan(p[i]):
            continue
        score = 0.5 if p[i] == 0.5 else float(p[i] > 0.5)  # of the second
        ranks = [score, 1.0 - score]  # the lower rank wins, equal ones tie
        [[skills[first]], [skills[second]]] = model.rate([[skills[first]], [skills[second]]], ranks=ranks)
        for episode, part in ((first, 1.0 - score), (second, score)):
            games[episode], won[episode] = games[episode] + 1, won[episode] + part
    best = sorted(skills, key=lambda episode: (-skills[episode].mu, skills[episode].sigma, episode))
    return [
        EpisodeSkill(place, e, skills[e].mu, skills[e].sigma, games[e], won[e])
        for place, e in enumerate(best, 1)
    ]


def _checked(pairs, p, episode_of_frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hold the arrays to their shapes; raises BadInput."""
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    p = np.array([math.nan if value is None else value for value in p], np.float64)
    episodes = np.asarray(episode_of_frame)
    if len(pairs) != len(p):
        raise BadInput(
            f"ranking: {len(pairs)} pairs and {len(p)} values of p; there must be one for each pair"
        )
    if ((p < 0) | (p > 1)).any():
        raise BadInput("ranking: p must be probabilities in [0, 1], or None where there is no answer")
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= len(episodes)):
        raise BadInput(
            f"ranking: pairs name frames {pairs.min()} to {pairs.max()}, the dataset has {len(episodes)}"
        )
    return pairs, p, episodes
