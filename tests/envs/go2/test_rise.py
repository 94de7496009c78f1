"""Getting up: the scripted way works from most poses, and success means standing for half a second."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.envs.go2.rise import GetUp
from robot_rl.envs.make import make_task
from robot_rl.specs.tasks import load_task


def attempt(env, seed, behaviour="getup"):
    """Whether and when an episode succeeds."""
    env.reset(seed=seed)
    lay = env._body.fallen
    act = env.behave(behaviour, np.random.default_rng(seed))
    for step in range(env.card.episode_length):
        if env.step(act())[4]["success"]:
            return lay, step
    return lay, None


def test_the_scripted_way_up_works_from_most_poses():
    env = make_task(load_task("go2_getup"))
    found = [attempt(env, seed) for seed in range(12)]
    assert sum(step is not None for _, step in found) >= 10
    assert sum(lay for lay, _ in found) >= 10
    assert all(step is None or step >= 25 for _, step in found)


def test_stumbling_does_not_get_up_and_standing_pays():
    env = make_task(load_task("go2_getup"))
    assert attempt(env, 0, "stumble")[1] is None
    env.reset(seed=0)
    lying = env.step(np.zeros(12))[1]
    act = env.behave("getup", np.random.default_rng(0))
    standing = [env.step(act())[1] for _ in range(300)][-1]
    assert standing > 1.5 > 1.0 > lying


def test_the_next_move_follows_from_the_state_and_not_from_when_it_began():
    env = make_task(load_task("go2_getup"))
    for seed in range(3):
        env.reset(seed=seed)
        body, running = env._body, GetUp(env._body, clocked=True)
        for step in range(150):
            fresh = GetUp(body, clocked=True)()  # a robot that has only now begun
            wanted = running()
            np.testing.assert_allclose(fresh, wanted, atol=1e-5, err_msg=f"seed {seed}, step {step}")
            env.step(body.legs_action(wanted))
        assert not body.fallen
    timed, late = GetUp(body), GetUp(body)
    [timed() for _ in range(40)]
    assert not np.allclose(timed(), late(), atol=1e-3)  # by its own times it does depend on when
    env.close()
