"""Rough ground: drawn from the seed, within its roughness, flat at the start; the camera that follows."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
import mujoco

from robot_rl.envs.go2.scene import RoughGround, load_scene
from robot_rl.envs.make import make_task
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task


def test_heights_follow_the_seed_and_the_roughness():
    model = load_scene("rough")
    ground = RoughGround(model, 0.06)
    ground.draw(np.random.default_rng(0))
    first = model.hfield_data.copy() * model.hfield_size[0, 2]  # m
    assert first.min() == 0 and 0.04 < first.max() <= 0.06
    ground.draw(np.random.default_rng(0))
    np.testing.assert_array_equal(first, model.hfield_data * model.hfield_size[0, 2])
    ground.draw(np.random.default_rng(1))
    assert np.abs(first - model.hfield_data * model.hfield_size[0, 2]).max() > 0.02
    assert ground.height(0.2, -0.2) == 0


def test_height_is_what_a_ray_hits():
    model = load_scene("rough")
    data = mujoco.MjData(model)
    ground = RoughGround(model, 0.1)
    ground.draw(np.random.default_rng(0))
    mujoco.mj_forward(model, data)
    for x, y in ((3.0, 1.0), (-2.0, 4.0), (5.1, -3.3)):  # on the grid's cells
        hit = mujoco.mj_ray(
            model, data, np.array([x, y, 2.0]), np.array([0, 0, -1.0]), None, 1, -1, np.zeros(1, np.int32)
        )
        assert ground.height(x, y) == pytest.approx(2.0 - hit, abs=1e-3)


def test_the_picture_shows_the_new_ground_and_the_camera_follows():
    env = make_task(load_task("go2_rough"))
    pictures = []
    for seed in (0, 1):
        env.reset(seed=seed)
        env.data.qpos[0] = 4.0
        mujoco.mj_forward(env.model, env.data)
        pictures.append(env.render().copy().astype(int))
        assert env._camera._camera.lookat[0] == pytest.approx(4.0)
    assert (np.abs(pictures[0] - pictures[1]).max(-1) > 10).mean() > 0.02
    env.close()


def test_following_an_unknown_body():
    card = load_task("go2_walk")
    card = card.model_copy(update={"camera": card.camera.model_copy(update={"follow": "bse"})})
    env = make_task(card)
    env.reset(seed=0)
    with pytest.raises(BadInput, match="camera.follow: no body 'bse' in the scene. Did you mean 'base'"):
        env.render()
