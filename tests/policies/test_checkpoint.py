"""A checkpoint comes back as it was, and whatever is wrong with one is named by its field."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import load_checkpoint, save_checkpoint
from tests.policies.helpers import make_actor, make_spec


@pytest.fixture
def folder(tmp_path):
    return save_checkpoint(tmp_path / "policy", make_actor().policy_weights(), make_spec())


def edit(folder, **changes):
    """Change fields of policy.json; None removes one."""
    path = folder / "policy.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_round_trip(folder):
    weights, spec = load_checkpoint(folder)
    for name, array in make_actor().policy_weights().items():
        np.testing.assert_array_equal(weights[name], array)
    assert spec.model_copy(update={"weights_hash": ""}) == make_spec()
    assert sorted(path.name for path in folder.iterdir()) == ["policy.json", "weights.safetensors"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state_mean": None}, "policy.json: state_mean: this field is required"),
        ({"fps": 0}, "policy.json: fps: Input should be greater than 0"),
        ({"robt": "x"}, "robt: unknown field. Did you mean 'robot'"),
        ({"state_std": [1, 2]}, "state_std has 2 entries but state_names has 3"),
        ({"state_std": [1, 0, 1]}, "state_std of 'y' must be positive"),
        ({"action_low": [5, 10]}, "action 'a': action_low 5.0 must be below action_high 3.0"),
        ({"format_version": 2}, "format_version is 2, newer than 1.*update robot-rl"),
        ({"hidden": [8, 5]}, r"'layer1.bias' has shape \(4,\); policy.json calls for \(5,\)"),
        ({"hidden": [8, 4, 4]}, "tensor 'layer2.bias' has shape"),
        ({"weights_hash": "0" * 64}, "weights_hash is not that of weights.safetensors"),
    ],
)
def test_each_mistake_in_the_spec_is_named(folder, changes, told):
    edit(folder, **changes)
    with pytest.raises(BadInput, match=told):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        ("log_std", None, "tensor 'log_std' is missing"),
        ("layer9.bias", np.zeros(2, np.float32), "tensor 'layer9.bias' is not part of the policy"),
        ("layer0.weight", np.zeros((3, 9), np.float32), r"'layer0.weight' has shape \(3, 9\)"),
        ("log_std", np.float32([np.nan, 0]), "'log_std' holds a value that is not finite"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, name, array, told):
    weights = make_actor().policy_weights() | {name: array}
    save_file({k: v for k, v in weights.items() if v is not None}, folder / "weights.safetensors")
    edit(folder, weights_hash=None)
    with pytest.raises(BadInput, match=told):
        load_checkpoint(folder)


def test_missing_and_torn_files_are_named(folder, tmp_path):
    with pytest.raises(BadInput, match="policy.json cannot be read .* a checkpoint is a folder with"):
        load_checkpoint(tmp_path / "nothing")
    edit(folder, weights_hash=None)
    (folder / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match="not a safetensors file"):
        load_checkpoint(folder)
    (folder / "policy.json").write_text("{")
    with pytest.raises(BadInput, match="policy.json: not valid JSON"):
        load_checkpoint(folder)
    (folder / "policy.json").write_text("[]")
    with pytest.raises(BadInput, match="must hold a JSON object, not list"):
        load_checkpoint(folder)


def test_nothing_wrong_is_saved(tmp_path):
    with pytest.raises(BadInput, match="tensor 'layer2.bias' has shape"):
        save_checkpoint(tmp_path / "a", make_actor(action=3).policy_weights(), make_spec())
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValidationError):
        make_spec(state_mean=[1.0])
