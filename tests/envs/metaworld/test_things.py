"""What the objects of Meta-World's scenes measure, and the random states they are put into."""

import numpy as np
import pytest

pytest.importorskip("metaworld")
from robot_rl.envs.make import make_task
from robot_rl.envs.metaworld.scripts import pull_out
from robot_rl.envs.metaworld.things import THINGS
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import Quantity, load_task


def started(name):
    env = make_task(load_task(name))
    env.reset(seed=0)
    return env


def test_a_hinge_is_measured_in_degrees_and_belongs_to_the_state():
    env = started("door_open")
    assert env.state()[7] == 0.0 and env.quantities()["angle"] == 0.0
    env._world._set_obj_xyz(np.array(-np.pi / 4))
    np.testing.assert_allclose(env.quantities()["angle"], 45.0)
    np.testing.assert_allclose(env.state()[7], -np.pi / 4)
    np.testing.assert_allclose(env.object_moved(), np.pi / 4)
    env.close()


def test_a_loose_thing_is_measured_against_its_goal():
    env = started("peg_insert_side")
    target = env._world._target_pos
    np.testing.assert_allclose(env.state()[7:10], target)
    # The head lies 10 cm before the middle: 7 cm right of the goal, 3 and 4 cm off the hole's axis.
    env._world._set_obj_xyz(target + (0.17, 0.03, 0.04))
    found = env.quantities()
    np.testing.assert_allclose(
        [found["ahead"], found["off_axis"], found["to_goal"], found["lifted"]],
        [0.07, 0.05, np.hypot(0.07, 0.03), target[2] + 0.04 - 0.02],
        atol=1e-6,
    )
    assert env.object_moved() == 0.0
    env._world._set_obj_xyz(target + (0.11, 0.0, 0.0))
    np.testing.assert_allclose(env.object_moved(), 0.06, atol=1e-6)
    env.close()


def test_a_goal_that_moves_belongs_to_the_state():
    env, goals = make_task(load_task("soccer")), set()
    for seed in range(4):
        env.reset(seed=seed)
        np.testing.assert_allclose(env.state()[7:], env._world._target_pos[:2])
        goals.add(tuple(env.state()[7:]))
    assert len(goals) == 4
    env.close()


@pytest.mark.parametrize("name", ["sweep_into", "soccer", "peg_insert_side"])
def test_random_states_of_a_loose_thing_are_at_its_goal_in_hand_and_on_the_table(name):
    env, rng = started(name), np.random.default_rng(0)
    thing, hand, places = THINGS[env.scene(env.card)], env.raw[:3].copy(), []
    for _ in range(60):
        env._scramble(rng)
        np.testing.assert_array_equal(env.raw[:3], hand)
        middle = env.data.body(thing.body).xpos.copy()
        head = middle + thing.head - env._world._target_pos
        at_goal = bool((np.abs(head) <= np.add(thing.goal_spread, 1e-6)).all())
        held = bool(np.allclose(middle, env._world.get_endeff_pos() + thing.grasped, atol=1e-6))
        lies = bool(abs(middle[2] - thing.rest) < 1e-6 and not held)
        places.append((at_goal, held, lies))
    assert all(any(place) for place in places)
    assert all(10 <= count <= 45 for count in np.sum(places, 0))
    env.close()


def test_the_peg_starts_in_the_hole_and_is_pulled_out():
    env = started("peg_remove")
    assert env.quantities()["ahead"] < 0.03 and env.quantities()["off_axis"] < 0.01
    rewards, success = [], False
    while not success:
        _, reward, _, truncated, info = env.step(pull_out(env.raw))
        rewards.append(reward)
        success = info["success"]
        assert not truncated
    assert rewards[0] < 1 and max(rewards[:-1]) <= 5 and rewards[-1] == 10
    assert env.quantities()["lifted"] < 0.03 and env.quantities()["ahead"] > 0.12
    env.close()


def test_cards_that_ask_for_what_a_scene_does_not_measure():
    card = load_task("drawer_open")
    more = card.model_copy(update={"state": (*card.state, Quantity(name="angle", unit="rad"))})
    with pytest.raises(BadInput, match="state has 8 parts, but drawer-open-v3 measures 7"):
        make_task(more)
    other = card.model_copy(update={"environment": "metaworld:hammer-v3"})
    with pytest.raises(BadInput, match="nothing is known of the object in 'hammer-v3'"):
        make_task(other)
