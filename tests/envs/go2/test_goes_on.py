"""Walking that goes on without resets: get-ups after falls, new commands, and a world kept on disk."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.cli.reset_free_world import PairWorld
from robot_rl.envs.make import make_task
from robot_rl.envs.pair import ResetFreePair, make_pair
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task


@pytest.fixture
def world():
    """A robot that stands at the origin, in a pair of one."""
    made = PairWorld(make_pair("go2_walk"))
    made.pair.begin_with("go2_walk", 0)
    yield made
    made.pair.close()


def trot(world, steps):
    act = world.pair.env.behave("trot", np.random.default_rng(0))
    return [world.step(np.asarray(act(), np.float32)) for _ in range(steps)]


def throw_over(world):
    """Push the hips until the robot lies; returns the outcome of the step at which it fell."""
    for _ in range(100):
        outcome = world.step(np.float32([-1, 1, 1] * 4))
        if outcome.fell:
            return outcome
    raise AssertionError("it still stands")


def test_a_fallen_robot_stands_again_where_it_fell(world):
    assert world.home_action() is None  # it stands already
    assert not any(outcome.fell for outcome in trot(world, 150))
    assert world.pair.env.quantities()["ahead"] > 0.5
    assert throw_over(world).fell
    fell_at = world.pair.env.quantities()["ahead"]
    steps = 0
    while (action := world.home_action()) is not None:
        world.step(action)
        steps += 1
    assert 60 < steps < 400 and world.pair.resets == 1
    found = world.pair.env.quantities()
    assert found["up"] > 0.9 and found["height"] > 0.2 and abs(found["ahead"] - fell_at) < 1.5
    assert not any(outcome.fell for outcome in trot(world, 200))  # and walks on


def test_each_try_has_a_command_of_its_own_and_is_judged_from_its_begin(world):
    commands, successes = [], []
    for _ in range(3):
        commands.append(world.observe()[-3:])
        successes.append([outcome.success for outcome in trot(world, 500)])
        before = world.pair.env.data.qpos.copy()
        world.switch("go2_walk")
        np.testing.assert_array_equal(world.pair.env.data.qpos, before)
    assert len({tuple(command) for command in commands}) == 3
    low, high = np.min(commands, 0), np.max(commands, 0)
    assert (low > [0.3, -0.1, -0.3]).all() and (high < [0.7, 0.1, 0.3]).all()
    for told in successes:  # a trot from a trot; the second before the new command holds is left out
        assert not any(told[:-1]) and told[-1] == 1.0
    world.switch("go2_walk")
    throw_over(world)
    assert not any(outcome.success for outcome in trot(world, 600))


def test_a_kept_world_goes_on_to_the_last_bit(world, tmp_path):
    trot(world, 60)
    world.keep(tmp_path / "w.npz")
    world.switch("go2_walk")
    again = PairWorld(make_pair("go2_walk"))
    again.go_on(tmp_path / "w.npz", "go2_walk")
    np.testing.assert_array_equal(again.observe(), world.observe())  # the command is among it
    again.switch("go2_walk")
    for one, other in zip(trot(world, 60), trot(again, 60), strict=True):
        np.testing.assert_array_equal(one.state, other.state)
        assert one.reward == other.reward
    assert again.pair.resets == 0
    again.pair.close()


def test_what_does_not_go_on():
    for name in ("go2_getup", "go2_rough"):
        with pytest.raises(BadInput, match=f"{name}: goes_on: only a walk"):
            make_task(load_task(name).model_copy(update={"goes_on": True}))
    with pytest.raises(BadInput, match="go2_getup: has no reverse_task"):
        make_pair("go2_getup")
    pair = ResetFreePair(load_task("go2_rough"))
    pair.reset(seed=0)
    with pytest.raises(BadInput, match="only worlds of flat ground are kept"):
        pair.leave()
