"""Reaching while walking: the target moves with the speed drawn, and arm and legs together hold it."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.envs.make import make_task
from robot_rl.specs.tasks import load_task


def episode(behaviour, seed=0):
    """The environment after an episode, its first target, and the last info."""
    env = make_task(load_task("go2_arm_reach"))
    env.reset(seed=seed)
    first, act = env._goal.target.copy(), env.behave(behaviour, np.random.default_rng(seed))
    for _ in range(env.card.episode_length):
        info = env.step(act())[4]
    return env, first, info


def test_trot_and_arm_hold_the_target_together():
    env, first, info = episode("reach")
    assert info["success"] and info["mean_distance"] < 0.04
    goal = env._goal
    moved = goal.target - first
    # 6 s at the target's speed after 2 s at rest; 8 s are two turns of its circle.
    np.testing.assert_allclose(moved, [6 * goal._speed, 0, 0], atol=1e-9)
    tip = env.data.site("arm_tip").xpos
    assert np.linalg.norm(tip - goal.target) == pytest.approx(info["distance"], abs=0.02)


@pytest.mark.parametrize("behaviour", ["walk_only", "reach_only"])
def test_one_of_the_two_alone_does_not(behaviour):
    assert not episode(behaviour)[2]["success"]


def test_the_target_is_seen_from_the_trunk():
    env = make_task(load_task("go2_arm_reach"))
    state = env.reset(seed=1)[0]["state"]
    np.testing.assert_allclose(state[-3:], env._goal.target - env.data.body("base").xpos, atol=1e-6)
    part = dict(zip([q.name for q in env.card.state], state, strict=True))
    assert part["arm_joint2_q"] == pytest.approx(0, abs=1e-6)
