"""Folding a cloth: the grip, what counts as folded, and the behaviours."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.envs.make import make_task
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task
from tests.envs.cloth.test_dressing import levels, play


@pytest.fixture(scope="module")
def env():
    made = make_task(load_task("cloth_fold"))
    yield made
    made.close()


def test_the_expert_folds_the_cloth_and_undo_spreads_it(env):
    env.reset(seed=1)
    before = levels(env)
    info, rewards = play(env, "expert", 60)
    assert info["success"] and before[1] == 0 and levels(env)[1] >= 4 and rewards[-1] > 4 > rewards[0]
    for seed in range(3):
        play(env, "undo", 20, seed)
    assert levels(env)[1] <= 2


def test_the_grip_takes_what_is_near_and_drops_it(env):
    env.reset(seed=2)
    thing = env._thing
    env.step(np.array([0.0, 0, 1, 1]))
    assert not thing.rig.holds and thing._reach() > 0.035  # closed beside the corner: nothing
    while thing._reach() > 0.02:
        env.step(thing._take())
    env.step(np.array([0.0, 0, 0, 1]))
    assert thing.rig.holds and env.step(np.zeros(4))[0]["state"][3] == 0  # 0 opens
    env.step(np.array([0.0, 0, 0, 1]))
    for _ in range(6):
        env.step(np.array([0.0, 0, 1, 1]))
    assert thing.rig.holds and thing._corner()[2] > 0.06
    for _ in range(8):
        env.step(np.array([0.0, 0, 1, -1]))
    assert not thing.rig.holds and thing._corner()[2] < 0.03


def test_success_by_hand(env):
    env.reset(seed=3)
    thing, points = env._thing, env.data.flexvert_xpos
    held, opposite, one, _ = thing._corners
    assert thing._gap() == pytest.approx(1, abs=0.01) and thing._spread() == pytest.approx(1, abs=0.01)
    points[held] = points[opposite] + [0.04, 0, 0.01]
    assert thing.outcome()[1]
    points[held] += [0.01, 0, 0]
    assert not thing.outcome()[1]  # 5 cm beside it
    points[held] = points[opposite] + [0.0, 0, 0.04]
    assert not thing.outcome()[1]  # in the air
    points[held] = points[opposite] + [0.0, 0, 0.01]
    points[one] += 0.3 * (points[opposite] - points[one])
    assert thing._spread() < 0.9
    points[one] = points[opposite]
    assert not thing.outcome()[1]  # crumpled


def test_an_unknown_thing():
    card = load_task("cloth_fold").model_copy(update={"environment": "cloth:fild"})
    with pytest.raises(BadInput, match="cloth has no 'fild'. Did you mean 'fold'"):
        make_task(card)
    known = make_task(load_task("cloth_fold"))
    with pytest.raises(BadInput, match="no behaviour 'cary'. Did you mean 'carry'"):
        known.behave("cary", np.random.default_rng(0))
