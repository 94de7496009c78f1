"""What a policy that sees is shown: the newest picture in its size, never an old one; its swap of weights."""

from types import SimpleNamespace as Message

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from robot_rl.deploy.control import ControlStep, load_policy, load_swap, version_of
from robot_rl.deploy.eyes import fitted
from robot_rl.errors import BadInput
from robot_rl.policies.image_input import ImageInput
from tests.deploy.contracts import position_contract
from tests.deploy.seeing import seeing_checkpoint
from tests.deploy.test_interface import EYE

CONTRACT = position_contract(cameras={"side": {"topic": "image", "rate": 10, "stale": 0.25}})


def message(red, size=(8, 8), **changes):
    picture = np.zeros((*size, 3), np.uint8) + np.uint8([red, 9, 9])
    fields = {"encoding": "rgb8", "height": size[0], "width": size[1], "step": 3 * size[1]}
    return Message(**fields | {"data": picture.tobytes()} | changes)


@pytest.fixture
def step(tmp_path):
    run = seeing_checkpoint(tmp_path / "run")
    made = ControlStep(CONTRACT, load_policy(run), version_of(run))
    made.state.heard({"x": 0.0})
    return made


def wished(red):
    return {"a": pytest.approx(np.tanh(red / 255), abs=1e-5)}


def test_it_acts_on_the_newest_picture_until_it_is_old(step):
    with pytest.raises(BadInput, match="^camera 'side' has not been heard yet$"):
        step(100.0, 0.0)
    step.eyes.saw("side", message(50), 100.0, 100.0, 0.0)
    assert step(100.0, 0.0) == wished(50)
    step.eyes.saw("side", message(60), 100.1, 100.1, 0.1)
    step.eyes.saw("side", message(70), 100.2, 100.2, 0.2)
    step.eyes.saw("side", message(80), 100.1, 100.2, 0.2)  # out of order
    assert step(100.44, 0.44) == wished(70)
    with pytest.raises(BadInput, match=r"^camera 'side' is 0.3 s old \(limit 0.25 s\): is its driver"):
        step(100.5, 0.5)


def test_a_picture_that_cannot_be_used_is_not_replaced_by_the_one_before(step):
    step.eyes.saw("side", message(50), 100.0, 100.0, 0.0)
    assert step(100.0, 0.0) == wished(50)
    step.eyes.saw("side", message(50, encoding="16UC1"), 100.1, 100.1, 0.1)
    for _ in range(2):
        with pytest.raises(BadInput, match="^camera 'side': encoding '16UC1' cannot be read"):
            step(100.1, 0.1)
    step.eyes.saw("side", message(60), 100.2, 100.2, 0.2)
    assert step(100.2, 0.2) == wished(60)


def test_a_camera_whose_clock_jumped_is_believed_again_with_its_next_picture(step):
    step.eyes.saw("side", message(50), 100.0, 100.0, 0.0)
    step.eyes.saw("side", message(60), 90.0, 100.1, 0.1)
    with pytest.raises(BadInput, match="stamps of 'side' went back by 10 s"):
        step(100.1, 0.1)
    step.eyes.saw("side", message(70), 100.2, 100.2, 0.2)
    assert step(100.2, 0.2) == wished(70)


def test_larger_pictures_are_averaged_and_other_shapes_refused():
    pytest.importorskip("cv2")
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[::2] = 100
    image = ImageInput(**EYE)
    assert (fitted(picture, image) == 50).all() and fitted(picture, image).shape == (8, 8, 3)
    for size, told in (
        ((8, 16), "pictures of 8x16 pixels have other proportions; the policy learned from 8x8: "),
        ((4, 4), "pictures of 4x4 pixels are too small; the policy learned from 8x8"),
    ):
        with pytest.raises(BadInput, match=told):
            fitted(np.zeros((*size, 3), np.uint8), image)


def test_a_camera_that_the_robot_lacks_is_named(tmp_path):
    run = seeing_checkpoint(tmp_path / "run")
    with pytest.raises(BadInput, match="does not fit robot 'axis': images: no camera 'side'. Known: front"):
        cameras = {"front": {"topic": "image", "rate": 10, "stale": 0.25}}
        ControlStep(position_contract(cameras=cameras), load_policy(run), "run")


def test_its_weights_are_swapped_with_the_encoder(step, tmp_path):
    run = tmp_path / "run"
    new = load_swap(run, seeing_checkpoint(run / "next", gain=-1.0))
    step.check(*new)
    step.swap(*new)
    step.eyes.saw("side", message(50), 100.0, 100.0, 0.0)
    assert step(100.0, 0.0) == {"a": pytest.approx(-np.tanh(50 / 255), abs=1e-5)}
    other = seeing_checkpoint(run / "other", images=[EYE | {"height": 16, "width": 16}])
    with pytest.raises(BadInput, match="images differ from those of the running policy"):
        step.check(*load_swap(run, other))
    broken = seeing_checkpoint(run / "broken")
    (broken / "e.onnx").write_bytes(b"no graph")
    with pytest.raises(BadInput, match="e.onnx: is not the encoder that policy.json names"):
        load_swap(run, broken)
    linked, stranger = seeing_checkpoint(run / "linked"), seeing_checkpoint(tmp_path / "stranger")
    (linked / "e.onnx").unlink()
    (linked / "e.onnx").symlink_to(stranger / "e.onnx")
    with pytest.raises(BadInput, match="new weights must lie inside the run's folder"):
        load_swap(run, linked)


def test_onnx_alone_does_not_run_it(tmp_path):
    run = seeing_checkpoint(tmp_path / "run")
    with pytest.raises(
        BadInput, match="runtime: .*/run sees pictures and has no policy.onnx; use auto or numpy"
    ):
        load_policy(run, "onnx")
