"""robosuite's tasks: experts that solve them, what they measure, and cards that cannot be."""

import numpy as np
import pytest

pytest.importorskip("robosuite", reason="robosuite is not installed (extra: robosuite)")
from robot_rl.envs.make import make_task
from robot_rl.envs.robosuite.scenes import body_pose, hand, upright
from robot_rl.envs.robosuite.scripts import fingers, servo, shortest
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task


@pytest.mark.parametrize("name", ["lift_panda", "lift_ur5e", "hinged_door_panda", "nut_on_peg_panda"])
def test_the_scripted_expert_succeeds_and_the_words_follow(name):
    env = make_task(load_task(name))
    env.reset(seed=0)
    act, first, success = env.behave("expert", np.random.default_rng(0)), level_of(env), False
    while not success and env.steps < env.card.episode_length:
        _, reward, _, _, info = env.step(act())
        success = info["success"]
    assert success and reward > 0.5
    assert level_of(env) == len(env.card.scales[-1].levels) - 1 > first
    env.close()


def level_of(env):
    quantities = {name: np.array([value]) for name, value in env.quantities().items()}
    return int(env.card.scales[-1].level(quantities)[0])


def test_the_servo_goes_where_it_is_told_and_the_state_says_so():
    env = make_task(load_task("lift_panda"))
    env.reset(seed=1)
    world, target = env._world, np.array([-0.05, 0.1, 0.95])
    line = fingers(world)
    for _ in range(30):
        env.step(servo(world, target, -1.0, turn=shortest(fingers(world) - line - 0.5, np.pi)))
    np.testing.assert_allclose(hand(world), target, atol=0.01)
    # A turn about the way down is a negative one about the vertical: the line has turned by +0.5 rad.
    np.testing.assert_allclose(shortest(fingers(world) - line, np.pi), 0.5, atol=0.05)
    state = env.state()
    np.testing.assert_array_equal(state[:3], hand(world))
    np.testing.assert_allclose(np.linalg.norm(state[3:7]), 1.0)
    np.testing.assert_array_equal(state[8:], body_pose(world, "cube_main"))
    cube = body_pose(world, "cube_main")[:3]
    found = env.quantities()
    np.testing.assert_allclose(found["horizontal"], np.hypot(*(target - cube)[:2]), atol=0.01)
    np.testing.assert_allclose(found["height"], 0.95 - cube[2], atol=0.01)
    env.close()


def test_a_quaternion_has_one_sign():
    turn = np.array([0.1, 0.2, 0.3, np.sqrt(1 - 0.14)])
    np.testing.assert_array_equal(upright(turn), turn)
    np.testing.assert_array_equal(upright(-turn), turn)
    over = turn[::-1]
    np.testing.assert_array_equal(upright(-over), over)


@pytest.mark.parametrize(
    ("angle", "wanted"), [(3.0, 3.0 - np.pi), (-0.2, -0.2), (1.6, 1.6 - np.pi), (7.0, 7.0 - 2 * np.pi)]
)
def test_shortest_turns(angle, wanted):
    np.testing.assert_allclose(shortest(angle, np.pi), wanted)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"environment": "robosuite:Lft"}, "no scene 'Lft' of robosuite. Did you mean 'Lift'"),
        ({"options": {"robot": "Pandda"}}, "options.robot: no 'Pandda'. Did you mean 'Panda'"),
        ({"options": {}}, "options.robot: no 'None'"),
        (
            {"options": {"robot": "Panda", "latch": True}},
            "options: unknown 'latch'. Did you mean 'use_latch'",
        ),
        ({"options": {"robot": "Panda", "use_latch": 1.0}}, "options.use_latch: must be bool, not 1.0"),
        ({"state": ()}, "state has 0 parts, but this scene measures 15"),
    ],
)
def test_cards_that_cannot_be(changes, told):
    with pytest.raises(BadInput, match=told):
        make_task(load_task("lift_panda").model_copy(update=changes))
