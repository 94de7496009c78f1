"""Where the gripper is in a picture: against MuJoCo's own renderer, and by a trace file."""

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.trace import gripper_pixels, project
from robot_rl.specs.tasks import Camera, load_task

BALLS = [(0.1, 0.6, 0.2), (-0.15, 0.75, 0.05), (0.0, 0.68, 0.3)]


@pytest.mark.parametrize("ball", BALLS)
def test_a_point_is_where_mujoco_draws_it(ball):
    pytest.importorskip("mujoco")
    from robot_rl.envs.rendering import CardCamera, mujoco

    place = " ".join(map(str, ball))
    shape = f'<geom type="sphere" size=".01" rgba="1 0 0 1" pos="{place}"/>'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{shape}</worldbody></mujoco>")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = load_task("drawer_open").camera.model_copy(update={"hide": (), "size": 200})
    renderer = CardCamera(model, camera)
    picture = renderer(data).astype(int)
    renderer.close()
    rows, columns = np.nonzero(picture[..., 0] - picture[..., 2] > 60)
    assert len(rows) > 5
    found = project(camera, np.array([ball]), (200, 200))[0]
    np.testing.assert_allclose(found, [columns.mean() + 0.5, rows.mean() + 0.5], atol=1.0)


def test_a_point_behind_the_camera_is_unknown():
    camera = Camera(look_at=(0, 0, 0), azimuth=0, elevation=0, distance=1)  # at x = -1, looking along +x
    found = project(camera, np.array([[0.0, 0, 0], [-2.0, 0, 0], [0.0, 0.1, 0.1]]), (100, 100))
    np.testing.assert_allclose(found[0], [50, 50])
    assert np.isnan(found[1]).all()
    assert found[2, 0] < 50 and found[2, 1] < 50  # +y is to the left, +z up


def write(path, text):
    path.write_text(text)
    return path


def test_a_trace_file_projects_or_names_pixels(tiny_dataset, tmp_path):
    state = tiny_dataset.column("observation.state")
    file = write(tmp_path / "pixels.yaml", "pixels: [joint_2, joint_0]\n")
    np.testing.assert_allclose(gripper_pixels(tiny_dataset, "front", None, file), state[:, [2, 0]])
    matrix = "[[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 0, 1]]"
    file = write(tmp_path / "p.yaml", f"point: [joint_0, joint_1, joint_2]\nprojection: {matrix}\n")
    found = gripper_pixels(tiny_dataset, "front", None, file)
    by_hand = np.column_stack([2 * state[:, 0] + 10, 3 * state[:, 1] + 20])
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_what_nobody_says_is_an_error_that_says_what_to_do(tiny_dataset, tmp_path):
    with pytest.raises(BadInput, match="--trace-file"):
        gripper_pixels(tiny_dataset, "front", None, None)
    with pytest.raises(BadInput, match="camera 'front'"):
        gripper_pixels(tiny_dataset, "front", load_task("drawer_open"), None)
    with pytest.raises(BadInput, match="no state 'joint_9'.* Did you mean 'joint_"):
        file = write(tmp_path / "a.yaml", "pixels: [joint_9, joint_0]\n")
        gripper_pixels(tiny_dataset, "front", None, file)
    for text in ("pixels: [a, b]\npoint: [a, b, c]\n", "point: [a, b, c]\n", "projection: []\n"):
        with pytest.raises(BadInput, match=r"b\.yaml"):
            gripper_pixels(tiny_dataset, "front", None, write(tmp_path / "b.yaml", text))
