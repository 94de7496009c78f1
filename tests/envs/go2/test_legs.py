"""Go2's legs: feet and joint angles, against angles worked by hand and against the model itself."""

import numpy as np
import pytest

pytest.importorskip("mujoco")
import mujoco

from robot_rl.envs.go2.legs import HIPS, LINK, OFFSET, SIDE, STANCE, feet_at, joints_for, lifting
from robot_rl.envs.go2.scene import load_scene


def test_the_stance_by_hand():
    # Thigh 0.9 back and calf 1.8 forward make an isosceles triangle under the hip.
    feet = feet_at(STANCE)
    np.testing.assert_allclose(feet[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(feet[:, 1], SIDE * OFFSET)
    np.testing.assert_allclose(feet[:, 2], -2 * LINK * np.cos(0.9))
    np.testing.assert_allclose(joints_for(feet), STANCE, atol=1e-9)


def test_joints_bring_the_feet_back():
    rng = np.random.default_rng(0)
    feet = np.stack([rng.uniform(-0.1, 0.1, 4), SIDE * 0.1, rng.uniform(-0.35, -0.2, 4)], 1)
    np.testing.assert_allclose(feet_at(joints_for(feet)), feet, atol=1e-9)


def test_feet_out_of_reach_are_drawn_in():
    far = np.tile([0.0, OFFSET, -1.0], (4, 1)) * [1, 1, 1]
    assert np.isfinite(joints_for(far)).all()


def test_the_model_has_the_same_legs():
    model = load_scene("flat")
    data = mujoco.MjData(model)
    joints = STANCE + np.random.default_rng(1).uniform(-0.3, 0.3, 12)
    data.qpos[:] = [0, 0, 1, 1, 0, 0, 0, *joints]
    mujoco.mj_forward(model, data)
    feet = np.array([data.body(f"{leg}_calf").xpos for leg in ("FL", "FR", "RL", "RR")])
    down = np.array([data.body(f"{leg}_calf").xmat.reshape(3, 3)[:, 2] for leg in ("FL", "FR", "RL", "RR")])
    feet = feet - LINK * down - [0, 0, 1]
    feet[:, :2] -= HIPS
    np.testing.assert_allclose(feet_at(joints), feet, atol=1e-9)


def test_lifting_is_the_derivative_of_height():
    joints = STANCE + np.random.default_rng(2).uniform(-0.3, 0.3, 12)
    for k in range(12):
        step = np.eye(12)[k] * 1e-6
        numeric = (feet_at(joints + step) - feet_at(joints - step))[k // 3, 2] / 2e-6
        assert lifting(joints)[k // 3, k % 3] == pytest.approx(numeric, abs=1e-6)
