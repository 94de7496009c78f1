"""Dressing: what counts as a sleeve on the arm, the force on it, and the behaviours."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.envs.cloth.dressing import HAND, MIDDLE, RING, SUCCESS
from robot_rl.envs.make import make_task
from robot_rl.specs.tasks import load_task


@pytest.fixture(scope="module")
def env():
    made = make_task(load_task("dressing"))
    yield made
    made.close()


def levels(env):
    """Levels of the frame on the card's scales."""
    quantities = {name: np.array([value]) for name, value in env.quantities().items()}
    return [int(scale.level(quantities)[0]) for scale in env.card.scales]


def play(env, name, steps, seed=0):
    """Play a behaviour, to success at the latest; return what was told last, and all rewards."""
    act, rewards = env.behave(name, np.random.default_rng(seed)), []
    for _ in range(steps):
        _, reward, _, _, info = env.step(act())
        rewards.append(reward)
        if info["success"]:
            break
    return info, rewards


def test_the_expert_dresses_the_arm_and_undo_pulls_the_sleeve_off(env):
    env.reset(seed=1)
    before = levels(env)
    info, rewards = play(env, "expert", 60)
    assert info["success"] and info["progress"] >= SUCCESS and 0 < info["force"] < 8
    assert before[1] == 0 and levels(env) == [4, 6] and rewards[0] < 0 and rewards[-1] == pytest.approx(5.0)
    peak, (info, _) = info["force"], play(env, "undo", 45)
    assert info["progress"] == 0 and levels(env)[1] == 0 and info["force"] >= peak
    assert env.reset(seed=1)[1] == {"success": False}
    assert env.step(np.zeros(4))[4]["force"] < peak  # the largest so far is of this episode


def drawn(env, depths):
    """Lay the sleeve's rings around the arm's axis at depths (8,) past the fingertips, by hand."""
    tip, along = env._thing._axis[0], env._thing._along
    across = np.cross(along, [0.0, 0, 1])
    up = np.cross(across, along)
    turn = 2 * np.pi * np.arange(RING) / RING
    ring = 0.08 * (np.outer(np.cos(turn), across) + np.outer(np.sin(turn), up))
    env.data.flexvert_xpos[:] = np.concatenate([tip - depth * along + ring for depth in depths])
    env._thing._measure()


def test_success_is_a_sleeve_on_the_arm_past_four_fifths_of_the_forearm(env):
    env.reset(seed=2)
    thing = env._thing
    far = HAND + SUCCESS * thing._length
    drawn(env, far + 0.01 - 0.03 * np.arange(8))
    assert thing.outcome() == (pytest.approx(5.0), True)
    assert thing.progress() == pytest.approx(SUCCESS + 0.01 / thing._length)
    drawn(env, far - 0.01 - 0.03 * np.arange(8))
    assert thing.outcome() == (pytest.approx(5.0 * (far - 0.01) / far), False)
    caught = far + 0.01 - np.where(np.arange(8) < MIDDLE, 0.0, far + 0.05)  # the rest is before the hand
    drawn(env, caught)
    assert thing.progress() > SUCCESS and not thing.outcome()[1]
    drawn(env, far + 0.01 - 0.03 * np.arange(8))
    env.data.flexvert_xpos[:] += [0, 0, -0.15]  # below the arm
    thing._measure()
    assert thing.progress() == 0.0 and not thing.outcome()[1]


def test_a_hard_pull_is_bounded_and_told(env):
    env.reset(seed=3)
    play(env, "expert", 18)
    for _ in range(25):
        *_, info = env.step(np.array([0.0, 1.0, 1.0, 0.0]))  # off the arm sideways
    assert 3 < info["force"] < 30 and env._thing.rig.pull() <= 8 * 3**0.5 + 1e-6
    env._thing._force = 10.0
    reward = env._thing.outcome()[0]
    env._thing._force = 20.0
    assert env._thing.outcome()[0] == pytest.approx(reward - 0.2)  # 10 N too many


def test_the_arm_s_pose_is_the_seed_s_and_what_is_drawn(env):
    poses = []
    for seed in range(6):
        env.reset(seed=seed)
        axis = env._thing._axis
        poses.append(np.append(axis.ravel(), env._thing._length))
        hand = env.model.geom("hand")
        centre, frame = env.data.geom("hand").xpos, env.data.geom("hand").xmat.reshape(3, 3)
        end = centre + frame[:, 2] * (hand.size[1] + hand.size[0])
        np.testing.assert_allclose(end, axis[0], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(axis[1] - axis[2]), env._thing._length)
    assert np.std(poses, 0).min() > 0.001
    state = env.reset(seed=4)[0]["state"]
    np.testing.assert_allclose(state[4:10], env._thing._axis[[0, 2]].ravel(), rtol=1e-5)
    np.testing.assert_allclose(state[:3], env._thing.rig.gripper, rtol=1e-5)
