"""Randomisation: off unless asked for, decided by the seed, within the card's ranges; draws do not add up."""

import numpy as np
import pytest

pytest.importorskip("metaworld")
from robot_rl.envs.make import make_task
from robot_rl.envs.randomise import Randomiser
from robot_rl.errors import BadInput
from robot_rl.specs.randomise import Randomise
from robot_rl.specs.tasks import load_task, task_names

CARD = load_task("door_open")
NOTHING = CARD.model_copy(update={"randomise": Randomise()})
OTHERS = ("go2_rough", "go2_arm_reach", "dressing", "cloth_fold", "rope_straighten")
LOOKS = ("mat_rgba", "geom_rgba", "light_diffuse", "body_mass", "body_inertia", "geom_friction")


def scene(env):
    return {name: getattr(env.model, name).copy() for name in LOOKS}


def with_ranges(**ranges):
    return make_task(CARD.model_copy(update={"randomise": Randomise(**ranges)}), randomise=True)


def play(env, seed, steps=20):
    rng = np.random.default_rng(0)
    states = [env.reset(seed=seed)[0]["state"]]
    actions = rng.uniform(-1, 1, (steps, len(env.card.actions)))
    states += [env.step(action)[0]["state"] for action in actions]
    return np.stack(states), env.render().copy()


def test_ranges_of_1_and_0_change_nothing():
    plain, same = make_task(CARD), make_task(NOTHING, randomise=True)
    for found, wanted in zip(play(same, 3), play(plain, 3), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert plain.randomiser is None


def test_the_seed_decides_and_draws_do_not_add_up():
    env, plain = make_task(CARD, randomise=True), make_task(CARD)
    plain.reset(seed=4)
    nominal = scene(plain)
    first = (*play(env, 4), scene(env))
    for seed in range(5, 25):
        env.reset(seed=seed)
    again = (*play(env, 4), scene(env))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    for name in LOOKS:
        np.testing.assert_array_equal(first[2][name], again[2][name])
        assert not np.array_equal(first[2][name], nominal[name]), name
    ranges, mass = CARD.randomise, nominal["body_mass"] > 0
    factors = again[2]["body_mass"][mass] / nominal["body_mass"][mass]
    assert ranges.mass[0] <= factors.min() < factors.max() <= ranges.mass[1]
    slip = again[2]["geom_friction"][:, 0] / nominal["geom_friction"][:, 0]
    np.testing.assert_allclose(slip, slip[0])
    np.testing.assert_array_equal(again[2]["geom_friction"][:, 1:], nominal["geom_friction"][:, 1:])
    np.testing.assert_array_equal(again[2]["geom_rgba"][:, 3], env.model.geom_rgba[:, 3])
    assert not np.array_equal(play(plain, 4)[1], first[1])


def test_every_card_has_ranges():
    assert [name for name in task_names() if load_task(name).randomise is None] == []


@pytest.mark.parametrize("name", OTHERS)
def test_scenes_on_legs_and_of_cloth_are_drawn_as_well(name):
    card = load_task(name)
    env, plain = make_task(card, randomise=True), make_task(card)
    same = make_task(card.model_copy(update={"randomise": Randomise()}), randomise=True)
    nominal, wanted = scene(plain), play(plain, 3)
    for found, one in zip(play(same, 3), wanted, strict=True):
        np.testing.assert_array_equal(found, one)
    first = (*play(env, 3), env.model.body_mass.copy())
    for seed in range(4, 8):
        play(env, seed, steps=30)
    for found, one in zip((*play(env, 3), env.model.body_mass), first, strict=True):
        np.testing.assert_array_equal(found, one)
    moves = nominal["body_mass"] > 0
    factors = env.model.body_mass[moves] / nominal["body_mass"][moves]
    assert card.randomise.mass[0] <= factors.min() < factors.max() <= card.randomise.mass[1]
    assert not np.array_equal(first[1], wanted[1]) and np.isfinite(first[0]).all()
    assert {warning.number for warning in env.data.warning} == {0}
    for made in (env, plain, same):
        made.close()


def test_noise_by_name_goes_before_noise_by_unit():
    card = load_task("go2_walk")
    ranges = Randomise(noise={"rad/s": (0.2, 0.2), "command_turn": (0, 0), "gravity_x": (0.03, 0.03)})
    env = make_task(card.model_copy(update={"randomise": ranges}), randomise=True)
    env.reset(seed=0)
    sigma = dict(zip([part.name for part in card.state], env.randomiser.sigma.tolist(), strict=True))
    assert sigma["gyro_z"] == sigma["FL_hip_dq"] == 0.2 and sigma["gravity_x"] == 0.03
    assert sigma["command_turn"] == sigma["gravity_y"] == sigma["clock_sin"] == sigma["FL_hip_q"] == 0


def test_the_start_is_the_same_with_and_without():
    env = with_ranges(light=(0.5, 1.5), friction=(0.5, 1.5))
    plain = make_task(CARD)
    for seed in range(3):
        np.testing.assert_array_equal(env.reset(seed=seed)[0]["state"], plain.reset(seed=seed)[0]["state"])


def test_latency_delays_actions_by_whole_periods():
    late, plain = with_ranges(latency=(2, 2)), make_task(CARD)
    actions = [np.full(4, 1.0), np.full(4, -1.0), np.zeros(4), np.zeros(4)]
    late.reset(seed=0)
    plain.reset(seed=0)
    found = [late.step(action)[0]["state"] for action in actions]
    wanted = [plain.step(a)[0]["state"] for a in [np.zeros(4), np.zeros(4), *actions[:2]]]
    np.testing.assert_array_equal(found, wanted)


def test_noise_has_its_unit_s_size_and_leaves_the_world_alone():
    noisy, plain = with_ranges(noise={"m": (0.01, 0.01)}), make_task(CARD)
    found, wanted = play(noisy, 0, 200)[0], play(plain, 0, 200)[0]
    error = found - wanted
    metres = [part.unit == "m" for part in CARD.state]
    np.testing.assert_allclose(error[:, metres].std(), 0.01, rtol=0.1)
    np.testing.assert_array_equal(error[:, np.logical_not(metres)], 0.0)


def test_the_camera_moves_within_its_range():
    env = with_ranges(camera_shift=0.05, camera_turn=5.0)
    pictures = []
    for seed in range(6):
        env.reset(seed=seed)
        drawn = env.randomiser.camera
        assert np.abs(np.subtract(drawn.look_at, CARD.camera.look_at)).max() <= 0.05
        assert abs(drawn.azimuth - CARD.camera.azimuth) <= 5 and drawn.distance == CARD.camera.distance
        pictures.append(env.render().copy())
        np.testing.assert_array_equal(env._camera._camera.lookat, drawn.look_at)
    assert len({picture.tobytes() for picture in pictures}) == 6


def test_cards_that_ask_for_what_cannot_be():
    with pytest.raises(BadInput, match="door_open: the task card has no section 'randomise:'"):
        Randomiser(CARD.model_copy(update={"randomise": None}))
    wrong = CARD.model_copy(update={"randomise": Randomise(noise={"deg": (0, 1)})})
    with pytest.raises(BadInput, match="randomise.noise: no state part is in 'deg' or has this name"):
        make_task(wrong, randomise=True)
    for ranges in (
        {"mass": (2.0, 1.0)},
        {"light": (-1.0, 1.0)},
        {"camera_turn": -1.0},
        {"latency": (0, 0.5)},
    ):
        with pytest.raises(ValueError):
            Randomise(**ranges)
