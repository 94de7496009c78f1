"""Ranking of episodes: one game by hand, many games, and what is no game."""

import math

import numpy as np
import pytest

pytest.importorskip("openskill")
from robot_rl.errors import BadInput
from robot_rl.preferences.ranking import rank_episodes

EPISODES = np.repeat(np.arange(4), 5)  # 4 episodes of 5 frames


def test_one_game_by_hand():
    # Weng and Lin, Algorithm 1, two players at (25, 25/3) with beta 25/6:
    # c = sqrt(2 sigma^2 + 2 beta^2), mu +- sigma^2 / c / 2, sigma * sqrt(1 - (sigma / c)^3 / 4).
    sigma, beta = 25 / 3, 25 / 6
    c = math.sqrt(2 * sigma**2 + 2 * beta**2)
    best, *idle, worst = rank_episodes(np.array([[0, 5]]), [0.9], EPISODES)
    assert (best.episode, worst.episode) == (1, 0)
    assert (best.mu, worst.mu) == pytest.approx((25 + sigma**2 / c / 2, 25 - sigma**2 / c / 2))
    assert best.sigma == worst.sigma == pytest.approx(sigma * math.sqrt(1 - (sigma / c) ** 3 / 4))
    assert (best.place, best.games, best.won, worst.place, worst.won) == (1, 1, 1.0, 4, 0.0)
    assert [(one.mu, one.sigma, one.games) for one in idle] == [(25.0, pytest.approx(sigma), 0)] * 2


def test_a_tie_draws_unequal_episodes_together():
    win = rank_episodes(np.array([[0, 5]]), [1.0], EPISODES)
    both = {e.episode: e for e in rank_episodes(np.array([[0, 5], [1, 6]]), [1.0, 0.5], EPISODES)}
    gap = {e.episode: e.mu for e in win}
    assert 0 < both[1].mu - both[0].mu < gap[1] - gap[0]
    assert (both[1].games, both[1].won, both[0].won) == (2, 1.5, 0.5)


def test_many_noisy_games_find_the_order():
    rng = np.random.default_rng(0)
    quality = rng.permutation(20).astype(float)
    episodes = np.repeat(np.arange(20), 10)
    pairs = rng.integers(0, 200, (1500, 2))
    a, b = quality[episodes[pairs[:, 0]]], quality[episodes[pairs[:, 1]]]
    p = (rng.random(1500) < 1 / (1 + np.exp(-(b - a) / 2))).astype(float)
    ranked = rank_episodes(pairs, p, episodes)
    place = np.array([one.place for one in sorted(ranked, key=lambda one: one.episode)])
    assert np.corrcoef(place, -quality)[0, 1] > 0.95
    assert max(one.sigma for one in ranked) < 25 / 6  # half of what they start with
    assert rank_episodes(pairs, p, episodes) == ranked


def test_pairs_within_an_episode_and_without_an_answer_are_no_games():
    ranked = rank_episodes(np.array([[0, 1], [2, 7], [3, 8]]), [1.0, None, math.nan], EPISODES)
    assert [one.games for one in ranked] == [0] * 4
    assert [one.episode for one in ranked] == [0, 1, 2, 3]
    assert len(rank_episodes(np.zeros((0, 2)), [], EPISODES)) == 4


@pytest.mark.parametrize(
    ("pairs", "p", "message"),
    [
        ([[0, 20]], [1.0], "pairs name frames 0 to 20, the dataset has 20"),
        ([[-1, 3]], [1.0], "pairs name frames -1 to 3"),
        ([[0, 5]], [1.0, 0.0], "1 pairs and 2 values of p"),
        ([[0, 5]], [1.5], "p must be probabilities"),
    ],
)
def test_what_does_not_fit_is_refused(pairs, p, message):
    with pytest.raises(BadInput, match=message):
        rank_episodes(np.array(pairs), p, EPISODES)
