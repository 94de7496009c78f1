"""Reset-free pairs: the world goes on from one task to the other, to the last bit, and resets are counted."""

import numpy as np
import pytest

pytest.importorskip("metaworld")
from robot_rl.envs.pair import ResetFreePair, make_pair
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task


def until_success(pair, limit=400):
    """Play the present task's expert; returns whether it succeeded."""
    act = pair.env.behave("expert", np.random.default_rng(0))
    return any(pair.step(act())[4]["success"] for _ in range(limit))


@pytest.mark.parametrize("task", ["drawer_open", "door_open", "peg_insert_side"])
def test_two_experts_alternate_ten_times_without_a_reset(task):
    pair = make_pair(task)
    pair.reset(seed=1)
    tasks, goals = [], set()
    for _ in range(10):
        assert pair.home() < 200
        tasks.append(pair.task)
        goals.add(pair.instruction)
        assert until_success(pair), f"{pair.task} after {len(tasks) - 1} switches"
        pair.switch()
    assert pair.resets == 1 and tasks[:2] * 5 == tasks and len(goals) == 2
    assert not any(w.number for w in pair.env.data.warning)
    pair.close()


def play(pair, rng, steps):
    return np.stack([pair.step(rng.uniform(-1, 1, 4))[0]["state"] for _ in range(steps)])


@pytest.mark.parametrize("task", ["drawer_open", "door_close", "peg_insert_side"])
def test_a_switch_there_and_back_changes_nothing(task):
    found = []
    for switches in (0, 2):
        pair, rng = make_pair(task), np.random.default_rng(3)
        pair.reset(seed=2)
        play(pair, rng, 40)
        before, picture = pair.env.data.qpos.copy(), pair.render().copy()
        for _ in range(switches):
            pair.switch()
            np.testing.assert_array_equal(pair.env.data.qpos, before)
        np.testing.assert_array_equal(pair.render(), picture)
        found.append(play(pair, rng, 40))
        pair.close()
    np.testing.assert_array_equal(*found)


def test_the_instruction_and_the_observation_are_the_new_task_s():
    pair = make_pair("drawer_close")
    with pytest.raises(BadInput, match="needs one reset"):
        pair.switch()
    observation, info = pair.reset(seed=0)
    assert info == {"success": False, "task": "drawer_close"}
    after = pair.switch("drawer_open")["state"]
    # The two tasks name points of the handle that are 5 cm apart; the hand is where it was.
    np.testing.assert_allclose(after[6] - observation["state"][6], -0.05, atol=1e-5)
    np.testing.assert_allclose(after[:4], observation["state"][:4], atol=1e-6)
    assert pair.instruction == load_task("drawer_open").goal
    with pytest.raises(BadInput, match="no task 'drawer_opn' in this pair. Did you mean 'drawer_open'"):
        pair.switch("drawer_opn")
    pair.reset(seed=1)
    assert pair.resets == 2
    pair.close()


def test_what_is_no_pair():
    with pytest.raises(BadInput, match="soccer: has no reverse_task"):
        make_pair("soccer")
    with pytest.raises(BadInput, match="differ in their observation space"):
        ResetFreePair(load_task("drawer_open"), load_task("door_open"))
    pair = ResetFreePair(load_task("drawer_open"), load_task("button_press_topdown"))
    pair.reset(seed=0)
    with pytest.raises(BadInput, match="different scenes and share no world"):
        pair.switch()
