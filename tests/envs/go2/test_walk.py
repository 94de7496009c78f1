"""Walking: the trot follows commands, the reward by hand, success, latency, and what a card may say."""

from math import exp

import numpy as np
import pytest

pytest.importorskip("mujoco")
from robot_rl.envs.go2.legs import STANCE, feet_at
from robot_rl.envs.go2.trot import Gait, trot
from robot_rl.envs.make import make_task
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task

DOWN, STILL = np.array([0.0, 0.0, -1.0]), np.zeros(3)
FORWARD = {"forward_from": 0.5, "forward_to": 0.5, "left_from": 0, "left_to": 0, "turn_from": 0, "turn_to": 0}


def task(name="go2_walk", **options):
    """An environment with other options, and a state list that is left as it is."""
    card = load_task(name)
    return make_task(card.model_copy(update={"options": {**card.options, **options}}))


def episode(env, behaviour, seed=0):
    """Play an episode; returns each step's reward and info."""
    env.reset(seed=seed)
    act = env.behave(behaviour, np.random.default_rng(seed))
    return [env.step(act())[1::3] for _ in range(env.card.episode_length)]


@pytest.mark.parametrize(
    ("name", "options"),
    [("go2_walk", FORWARD), ("go2_walk", {"forward_from": 0.2, "turn_from": 0.3}), ("go2_rough", {})],
)
def test_the_trot_follows_the_command_for_ten_seconds(name, options):
    steps = episode(task(name, **options), "trot")
    assert [info["success"] for _, info in steps] == [False] * 499 + [True]
    assert not any(info["fallen"] for _, info in steps)
    assert steps[-1][1]["velocity_error"] < 0.15 and np.mean([reward for reward, _ in steps]) > 1.1


def test_half_a_metre_a_second_is_five_metres():
    env = task(**FORWARD)
    episode(env, "trot", seed=3)
    assert 4.2 < env.quantities()["ahead"] < 5.5


@pytest.mark.parametrize("behaviour", ["stand", "stray"])
def test_what_does_not_follow_does_not_succeed(behaviour):
    steps = episode(task(**FORWARD), behaviour, seed=1)
    assert not any(info["success"] for _, info in steps) and steps[-1][1]["velocity_error"] > 0.15


def test_a_fall_ends_success_but_not_the_episode():
    steps = episode(task(), "stumble")
    assert any(info["fallen"] for _, info in steps)
    assert not steps[-1][1]["success"]


def test_a_walk_gets_up_after_a_fall():
    env = task()
    env.reset(seed=0)
    from robot_rl.envs.go2.rise import lie_down

    lie_down(env._body, np.random.default_rng(0))
    assert env._body.fallen
    act = env.behave("trot", np.random.default_rng(0))
    fallen = [env.step(act())[4]["fallen"] for _ in range(400)]
    assert fallen[0] and not any(fallen[-50:])


def test_the_reward_by_hand():
    env = task(**FORWARD)
    env.reset(seed=0)
    body, goal = env._body, env._goal
    body.sensors[:6] = [0.2, 0.1, 0.3, 0, 0, 0.9]
    body.sensors[30:33] = [0.4, 0.1, 0.05]
    body.force[:] = 0
    body.force[0] = 10
    body.last = np.full(12, 0.1)
    body.before = np.zeros(12)
    reward, success, info = goal.measure(body)
    tracked = exp(-(0.1**2 + 0.1**2) / 0.25) + 0.5 * exp(-(0.3**2) / 0.25)
    costs = 2 * 0.05**2 + 0.05 * (0.2**2 + 0.1**2) + 0.0002 * 100 + 0.01 * 12 * 0.1**2
    assert reward == pytest.approx(0.9 * tracked - costs)
    assert not success and not info["fallen"]
    body.sensors[5] = 0.4  # tilted by 66°: only costs are left, and the reward does not go below 0
    assert goal.measure(body)[0] == 0.0 and goal.measure(body)[2]["fallen"]


def test_an_action_waits_for_the_latency():
    seen = []
    for latency in (0.0, 0.02):
        env = task(latency=latency)
        env.reset(seed=0)
        before = env.data.qpos[7:].copy()
        env.step(np.full(12, 0.3))
        seen.append(np.abs(env.data.qpos[7:] - before).max())
        assert np.allclose(env.data.ctrl, env._body.centre + 0.3 * env._body.ranges)
    assert seen[0] > 0.1 > 0.03 > seen[1]  # a whole step later, the old targets still hold


def test_torques_stay_within_the_motors_limits():
    env = task()
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(50):
        env.step(rng.uniform(-1, 1, 12))
        limits = np.tile([23.7, 23.7, 45.43], 4)
        assert (np.abs(env.data.actuator_force) <= limits + 1e-9).all()


def test_the_state_is_what_the_sensors_say():
    env = task()
    observation, _ = env.reset(seed=0)
    part = dict(zip([q.name for q in env.card.state], observation["state"], strict=True))
    assert part["gravity_z"] == pytest.approx(-1, abs=1e-6) and part["clock_cos"] == 1
    joints = env.data.qpos[7:] - STANCE
    assert part["FR_calf_q"] == pytest.approx(joints[5], abs=1e-6)
    assert part["FR_calf_last"] == pytest.approx(joints[5] / 0.95, abs=1e-6)
    assert part["command_turn"] == pytest.approx(env._goal.asked[2], abs=1e-6)
    state = env.step(np.full(12, 0.1))[0]["state"]
    part = dict(zip([q.name for q in env.card.state], state, strict=True))
    assert part["RL_hip_last"] == pytest.approx(0.1, abs=1e-6)
    assert part["clock_sin"] == pytest.approx(np.sin(2 * np.pi * 3 / 50), abs=1e-6)


def test_standing_feet_push_back_and_swinging_feet_lift():
    gait = Gait(mass=0.0)
    early, late = (feet_at(trot(gait, p, np.array([0.5, 0, 0]), DOWN, STILL)) for p in (0.1, 0.4))
    assert (late - early)[0, 0] == pytest.approx(-0.5 * 1.16 * 0.3 / 3, abs=1e-6)  # FL stands: 0.3 strides
    assert early[0, 2] == late[0, 2] == pytest.approx(-0.26)
    swinging = feet_at(trot(gait, 0.78, np.array([0.5, 0, 0]), DOWN, STILL))[0]
    assert swinging[2] == pytest.approx(-0.26 + 0.05, abs=1e-3) and abs(swinging[0]) < 1e-3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"latncy": 0.01}, "unknown field 'latncy'. Did you mean 'latency'"),
        ({"latency": 0.1}, "longer than a control step of 0.02 s"),
        ({"ground": "ice"}, "options.ground"),
        ({"forward_from": 2.0}, "forward_from: 2.0 is above forward_to, 0.7"),
    ],
)
def test_wrong_options(options, told):
    with pytest.raises(BadInput, match=told):
        task(**options)


def test_a_card_with_another_state_is_refused():
    card = load_task("go2_walk")
    with pytest.raises(BadInput, match="state has 46 entries; this task has 47"):
        make_task(card.model_copy(update={"state": card.state[1:]}))
    with pytest.raises(BadInput, match=r"actions\[0\] is 'FL_thigh'; this task has 'FL_hip' there"):
        make_task(card.model_copy(update={"actions": (card.actions[1], card.actions[0], *card.actions[2:])}))
    with pytest.raises(BadInput, match="go2 has no 'wlk'. Did you mean 'walk'"):
        make_task(card.model_copy(update={"environment": "go2:wlk"}))
