"""Evaluation: the seeds decide it, however many processes share them."""

import numpy as np
import pytest

pytest.importorskip("metaworld")
from robot_rl.envs.make import make_task
from robot_rl.envs.rollout import evaluate, film
from robot_rl.policies.policy import MlpPolicy
from robot_rl.specs.tasks import load_task

TASK = load_task("drawer_open").model_copy(update={"episode_length": 25})


def test_the_workers_do_not_matter(checkpoint):
    heard, seeds = [], [10_003, 10_001, 10_002]
    one = evaluate(TASK, checkpoint, seeds, progress=heard.append)
    two = evaluate(TASK, checkpoint, seeds, workers=2)
    assert sum(heard) == 3 and one.seeds == two.seeds == tuple(seeds)
    np.testing.assert_array_equal(one.success, two.success)
    np.testing.assert_array_equal(one.returns, two.returns)
    np.testing.assert_array_equal(one.steps, two.steps)
    assert one.steps.tolist() == [25] * 3 and one.rate == 0.0 and len(set(one.returns)) == 3


def test_returns_are_sums_of_the_true_reward(checkpoint):
    env, policy, total = make_task(TASK), MlpPolicy.load(checkpoint), 0.0
    observation, _ = env.reset(seed=10_000)
    for _ in range(25):
        observation, reward, *_ = env.step(policy.act(observation))
        total += reward
    np.testing.assert_allclose(evaluate(TASK, checkpoint, [10_000]).returns, [total])


def test_a_film_shows_every_second_step(checkpoint):
    pictures, reached = film(TASK, checkpoint, 10_000, size=96)
    assert pictures.shape == (1 + 12, 96, 96, 3) and pictures.dtype == np.uint8 and not reached
    assert not np.array_equal(pictures[0], pictures[-1])
