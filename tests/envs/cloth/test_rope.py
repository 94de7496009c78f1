"""Straightening a rope: where it starts, what counts as straight, and the behaviours."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.envs.cloth.rope import LENGTH, LINK
from robot_rl.envs.make import make_task
from robot_rl.specs.tasks import load_task
from tests.envs.cloth.test_dressing import levels, play


@pytest.fixture(scope="module")
def env():
    made = make_task(load_task("rope_straighten"))
    yield made
    made.close()


def test_the_expert_straightens_the_rope_and_undo_bends_it(env):
    env.reset(seed=1)
    before = levels(env)
    info, rewards = play(env, "expert", 60)
    assert info["success"] and levels(env) == [3, 5] and before[1] < 4 and rewards[-1] > 4.7 > rewards[0]
    info, _ = play(env, "undo", 25)
    assert levels(env)[1] < 3


def test_starts_are_bent_and_differ(env):
    stretch = []
    for seed in range(20):
        env.reset(seed=seed)
        stretch.append(env.quantities()["stretch"])
        assert not env._thing.outcome()[1]
    assert max(stretch) < 0.93 and np.std(stretch) > 0.05


def test_a_straight_rope_by_hand(env):
    env.reset(seed=0)
    thing = env._thing
    thing.rig.data.qpos[thing._turns] = 0.0
    env.step(np.zeros(4))
    assert thing._stretch() == pytest.approx(1.0, abs=0.01) and thing.outcome()[1]
    np.testing.assert_allclose(np.linalg.norm(thing._end - thing._clamp), LENGTH, atol=0.005)
    thing.rig.data.qpos[thing._turns[8]] = np.pi / 2
    env.step(np.zeros(4))
    half = np.hypot(8 * LINK, 8 * LINK) / LENGTH
    assert thing._stretch() == pytest.approx(half, abs=0.05) and not thing.outcome()[1]
