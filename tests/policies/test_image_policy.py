"""A checkpoint whose policy sees: what it takes, what it refuses, and that it needs no torch."""

import json
import subprocess
import sys

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import PolicyDescription, PolicySpec, save_checkpoint
from robot_rl.policies.image_input import ImageInput
from robot_rl.policies.image_policy import ImagePolicy, load_policy
from robot_rl.policies.policy import MlpPolicy
from tests.policies.helpers import make_actor, make_spec

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class Eye(torch.nn.Module):
    """The mean red and the mean green of a picture."""

    def forward(self, pictures):
        return pictures.float().mean((1, 2))[:, :2]


def image(**changes):
    fields = {"camera": "wrist", "height": 8, "width": 8, "size": 8, "features": 2, "encoder": "mean colours",
              "weights": "0", "file": "encoder-0.onnx", "feature_mean": (100.0, 50.0),
              "feature_std": (10.0, 20.0)}  # fmt: skip
    return ImageInput(**(fields | changes))


@pytest.fixture
def folder(tmp_path):
    from robot_rl.policies.onnx_encoder import encoder_to_onnx

    spec = make_spec(images=[image()])
    encoders = {"encoder-0.onnx": encoder_to_onnx(Eye(), 8)}
    return save_checkpoint(tmp_path / "policy", make_actor(5).policy_weights(), spec, encoders)


def flat(red, green, count=None):
    picture = np.zeros((8, 8, 3), np.uint8) + np.uint8([red, green, 7])
    return picture if count is None else np.repeat(picture[None], count, 0)


def test_it_acts_on_state_and_picture(folder):
    policy = load_policy(folder)
    assert isinstance(policy, ImagePolicy) and policy.spec.observation_size == 5
    weights, state = make_actor(5).policy_weights(), np.float32([1.5, 2, 5])
    # Standardised: (.5, 0, 1) of the state; red 120 is 2, green 30 is -1.
    x = np.float32([1, 0, 1, 2, -1])
    for k in range(3):
        x = x @ weights[f"layer{k}.weight"] + weights[f"layer{k}.bias"]
        x = np.maximum(x, 0) if k < 2 else np.tanh(x)
    expected = np.float32([-1, 10]) + (x + 1) / 2 * np.float32([4, 10])
    action = policy.act({"state": state, "image.wrist": flat(120, 30)})
    assert action.shape == (2,) and action.dtype == np.float32
    np.testing.assert_allclose(action, expected, rtol=1e-5)
    many = policy.act({"state": np.stack([state] * 3), "image.wrist": flat(120, 30, 3)})
    np.testing.assert_allclose(many, np.stack([expected] * 3), rtol=1e-5)
    other = policy.act({"state": state, "image.wrist": flat(90, 30)})
    assert not np.allclose(other, action)


def test_what_is_missing_or_of_another_kind_is_named(folder):
    policy, state = load_policy(folder), np.zeros(3)
    for observation, told in (
        ({"state": state}, "observation has no 'image.wrist'; it has state"),
        ({"image.wrist": flat(1, 1)}, "observation has no 'state'"),
        (
            {"state": state, "image.wrist": flat(1, 1)[:7]},
            r"image.wrist is uint8 \(7, 8, 3\); the policy takes",
        ),
        ({"state": state, "image.wrist": flat(1, 1) / 255.0}, "image.wrist is float64"),
        ({"state": state, "image.wrist": flat(1, 1, 2)}, "mixes single values and batches"),
        ({"state": state * np.nan, "image.wrist": flat(1, 1)}, "state 'x' is not finite"),
        (state, "observation must map 'state' and image.wrist to arrays"),
    ):
        with pytest.raises(BadInput, match=told):
            policy.act(observation)


def test_a_policy_of_pictures_alone(tmp_path):
    from robot_rl.policies.onnx_encoder import encoder_to_onnx

    spec = make_spec(state_names=[], state_units=[], state_mean=[], state_std=[], images=[image()])
    encoders = {"encoder-0.onnx": encoder_to_onnx(Eye(), 8)}
    path = save_checkpoint(tmp_path / "policy", make_actor(2).policy_weights(), spec, encoders)
    assert load_policy(path).act({"image.wrist": flat(1, 2)}).shape == (2,)


def test_larger_pictures_are_brought_to_what_the_encoder_sees(tmp_path):
    from robot_rl.policies.onnx_encoder import encoder_to_onnx

    spec = make_spec(images=[image(height=16, width=24)])
    encoders = {"encoder-0.onnx": encoder_to_onnx(Eye(), 8)}
    path = save_checkpoint(tmp_path / "policy", make_actor(5).policy_weights(), spec, encoders)
    picture = np.zeros((16, 24, 3), np.uint8) + np.uint8([120, 30, 7])
    plain = load_policy(path).act({"state": np.zeros(3), "image.wrist": picture})
    assert plain.shape == (2,)


def test_files_that_do_not_belong_together(folder):
    eye = folder / "encoder-0.onnx"
    content = eye.read_bytes()
    eye.write_bytes(content + b"x")
    with pytest.raises(BadInput, match="encoder-0.onnx: is not the encoder that policy.json names"):
        load_policy(folder)
    eye.unlink()
    with pytest.raises(BadInput, match="the policy sees camera 'wrist' through it: copy the whole run"):
        load_policy(folder)
    eye.write_bytes(content)
    path = folder / "policy.json"
    told = json.loads(path.read_text())
    told["images"][0]["size"] = 9
    path.write_text(json.dumps(told))
    with pytest.raises(BadInput, match=r"encoder-0.onnx: takes and gives .* policy.json calls for"):
        load_policy(folder)


def test_who_wants_the_state_alone_is_told(folder):
    from robot_rl.policies.onnx_export import export_onnx

    with pytest.raises(BadInput, match=r"its policy sees pictures \(image.wrist\), not just the state"):
        MlpPolicy.load(folder)
    with pytest.raises(BadInput, match="its encoders are ONNX already"):
        export_onnx(folder)


def test_the_spec_is_checked():
    with pytest.raises(ValueError, match="needs 2 feature means and stds"):
        make_spec(images=[image(feature_mean=())])
    with pytest.raises(ValueError, match="has a feature_std that is not positive"):
        make_spec(images=[image(feature_std=(0.0, 1.0))])
    with pytest.raises(ValueError, match="a policy has to see something"):
        make_spec(state_names=[], state_units=[], state_mean=[], state_std=[])
    with pytest.raises(ValueError, match="file"):
        image(file="../elsewhere.onnx")
    assert "images" not in make_spec().model_dump()  # policies of states stay as they were
    seen = make_spec(images=[image(weights="")])
    assert (seen.observation_size, seen.given_size) == (5, 3)
    fields = {name: getattr(seen, name) for name in PolicyDescription.model_fields}
    assert PolicySpec.model_validate(seen.model_dump()).images == PolicyDescription(**fields).images


def test_no_torch_is_needed(folder):
    code = (
        "import sys, numpy as np; from robot_rl.policies.image_policy import load_policy; "
        f"p = load_policy({str(folder)!r}); "
        "p.act({'state': np.zeros(3), 'image.wrist': np.zeros((8, 8, 3), np.uint8)}); "
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
