"""Meta-World's tasks: what they measure, their starts, and experts that solve them."""

import numpy as np
import pytest

pytest.importorskip("metaworld")
from robot_rl.envs.make import make_task
from robot_rl.envs.metaworld.behaviours import scripted
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task, task_names

TASKS = [name for name in task_names() if load_task(name).environment.startswith("metaworld:")]


@pytest.mark.parametrize("name", TASKS)
def test_the_scripted_expert_succeeds(name):
    env = make_task(load_task(name))
    expert = scripted(env.card.expert)
    env.reset(seed=0)
    best, levels, truncated = 0.0, [level_of(env)], False
    while not truncated:
        _, reward, _, truncated, info = env.step(expert(env.raw))
        best = max(best, reward)
        levels.append(level_of(env))
        if info["success"]:
            break
    assert info["success"] and best > 5
    assert levels[-1] > levels[0]  # the card's words see the object come nearer the goal
    env.close()


def level_of(env):
    """The object's level on its own scale, the last of the card's."""
    quantities = {name: np.array([value]) for name, value in env.quantities().items()}
    return int(env.card.scales[-1].level(quantities)[0])


def place(env, offset):
    """Send the hand to `offset` (m) from the object and return what is measured there."""
    env.reset(seed=4)
    for _ in range(80):
        env.step(np.append(10 * (env.raw[4:7] + offset - env.raw[:3]), -1.0))
    return env.quantities()


def test_quantities_have_their_documented_signs():
    env = make_task(load_task("drawer_open"))
    front, behind = place(env, np.array([0.0, -0.12, 0.1])), place(env, np.array([0.0, 0.12, 0.15]))
    assert front["along"] < -0.08 and front["front_finger"] < 0 and behind["along"] > 0.05
    assert front["height"] > 0.05 and front["front_finger"] <= front["rear_finger"]
    left, right = place(env, np.array([-0.1, -0.1, 0.1])), place(env, np.array([0.1, -0.1, 0.1]))
    assert min(left["sideways"], right["sideways"]) > 0.06
    np.testing.assert_allclose(front["horizontal"], np.hypot(front["sideways"], front["along"]))
    env.close()


def test_scramble_moves_the_object_alone():
    env, rng = make_task(load_task("drawer_open")), np.random.default_rng(0)
    env.reset(seed=0)
    hand, seen = env.raw[:3].copy(), set()
    for _ in range(12):
        env._scramble(rng)
        opening = env.quantities()["opening"]
        assert 0 <= opening <= 0.2
        np.testing.assert_allclose(env.object_moved(), opening)
        np.testing.assert_array_equal(env.raw[:3], hand)
        seen.add(round(opening, 3))
    assert 0.0 in seen and len(seen) > 4
    env.close()


def test_random_starts_are_where_the_card_says():
    env = make_task(load_task("drawer_open"))
    opened = []
    for seed in range(12):
        env.reset(seed=seed, options={"random_start": True})
        opened.append(env.object_moved())
    assert 0 < sum(o > 0.005 for o in opened) < 12 and max(opened) < 0.15
    env.reset(seed=0)
    assert env.object_moved() < 0.005
    env.close()


def test_unknown_bodies_and_experts():
    card = load_task("drawer_open")
    camera = card.camera.model_copy(update={"hide": ("torsoo",)})
    env = make_task(card.model_copy(update={"camera": camera}))
    env.reset(seed=0)
    with pytest.raises(BadInput, match="no body 'torsoo' in the scene. Did you mean 'torso'"):
        env.render()
    with pytest.raises(BadInput, match="no policy 'drawer-opn-v3'. Did you mean 'drawer-open-v3'"):
        scripted("drawer-opn-v3")
