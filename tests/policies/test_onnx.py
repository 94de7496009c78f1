"""policy.onnx gives the checkpoint's actions without torch, and is refused where it does not fit."""

import json
import subprocess
import sys

import numpy as np
import pytest

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.policies import onnx_export
from robot_rl.policies.checkpoint import save_checkpoint
from robot_rl.policies.policy import MlpPolicy
from tests.policies.conformance import check_policy
from tests.policies.helpers import make_actor, make_spec

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from robot_rl.policies.onnx_policy import BUILT_FROM, OnnxPolicy  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    return save_checkpoint(tmp_path / "policy", make_actor().policy_weights(), make_spec())


@pytest.fixture
def exported(folder):
    onnx_export.export_onnx(folder)
    return folder


def edit(folder, **changes):
    path = folder / "policy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_conformance(exported):
    check_policy(OnnxPolicy.load(exported))


def test_actions_by_hand(tmp_path):
    # One layer, weights 0, bias atanh(.5) and 0: tanh gives .5 and 0, of -1 to 3 and 10 to 20: 2 and 15.
    weights = {
        "layer0.weight": np.zeros((3, 2), np.float32),
        "layer0.bias": np.float32([np.arctanh(0.5), 0]),
        "log_std": np.zeros(2, np.float32),
    }
    folder = save_checkpoint(tmp_path, weights, make_spec(hidden=[]))
    onnx_export.export_onnx(folder)
    np.testing.assert_allclose(OnnxPolicy.load(folder).act(np.zeros(3)), [2, 15], rtol=1e-6)


def test_the_normaliser_is_inside(tmp_path):
    # (3 - 1) / .5 = 4 times .1 gives tanh(.4) for the first action; the raw 3 would give tanh(.3).
    weights = {
        "layer0.weight": np.float32([[0.1, 0], [0, 0], [0, 0]]),
        "layer0.bias": np.zeros(2, np.float32),
        "log_std": np.zeros(2, np.float32),
    }
    folder = save_checkpoint(tmp_path, weights, make_spec(hidden=[]))
    assert onnx_export.export_onnx(folder) <= 1e-5
    action = OnnxPolicy.load(folder).act(np.float32([3, 2, 3]))
    np.testing.assert_allclose(action, [-1 + 4 * (np.tanh(0.4) + 1) / 2, 15], rtol=1e-6)


def test_parity_with_numpy(exported):
    states = np.random.default_rng(1).normal(2, 3, (200, 3)).astype(np.float32)
    ours, theirs = MlpPolicy.load(exported).act(states), OnnxPolicy.load(exported).act(states)
    assert ours.std(0).min() > 0.3
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


def test_parity_sees_another_policy():
    weights, spec = make_actor().policy_weights(), make_spec()
    other = weights | {"layer2.bias": weights["layer2.bias"] + np.float32(1e-3)}
    policy = OnnxPolicy(onnx_export.build(weights, spec), spec)
    assert onnx_export.parity(policy, MlpPolicy(weights, spec)) <= 1e-5
    assert 1e-5 < onnx_export.parity(policy, MlpPolicy(other, spec)) < 1e-2


def test_what_differs_is_not_kept(folder, monkeypatch):
    wrong = {name: array * np.float32(1.001) for name, array in make_actor().policy_weights().items()}
    build = onnx_export.build
    monkeypatch.setattr(onnx_export, "build", lambda _, spec: build(wrong, spec))
    with pytest.raises(RobotRLError, match="is not written: its actions differ .* above 1e-05"):
        onnx_export.export_onnx(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["policy.json", "weights.safetensors"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state_names", ["x", "z", "y"]),
        ("state_units", ["m", "m", "cm"]),
        ("state_mean", [1.0, 2.0, 3.5]),
        ("state_std", [0.5, 1.0, 2.5]),
        ("action_names", ["b", "a"]),
        ("action_units", ["N", "deg"]),
        ("action_low", [-2.0, 10.0]),
        ("action_high", [3.0, 21.0]),
        ("hidden", [8, 5]),
        ("weights_hash", "0" * 64),
    ],
)
def test_a_graph_of_another_policy_is_refused_by_field(exported, field, value):
    assert field in BUILT_FROM
    edit(exported, **{field: value})
    with pytest.raises(
        BadInput, match=rf"policy.onnx: {field} is .*, but policy.json says .*; export the run"
    ):
        OnnxPolicy.load(exported)


def test_sizes_that_do_not_fit_are_refused(exported):
    four = {"state_names": list("wxyz"), "state_units": ["m"] * 4, "state_mean": [0.0] * 4}
    edit(exported, **four, state_std=[1.0] * 4)
    with pytest.raises(BadInput, match=r"input is .*'state'.*policy.json calls for 'state', float, \(N, 4\)"):
        OnnxPolicy.load(exported)


def test_missing_and_torn_files_are_named(folder, exported, tmp_path):
    (exported / "policy.onnx").write_bytes(b"torn")
    with pytest.raises(BadInput, match="policy.onnx: not a graph that onnxruntime can run; export the run"):
        OnnxPolicy.load(exported)
    (exported / "policy.onnx").unlink()
    with pytest.raises(BadInput, match="policy.onnx cannot be read .*; export the run again"):
        OnnxPolicy.load(exported)


def test_the_format_is_an_old_one(exported):
    model = onnx.load(exported / "policy.onnx")
    assert model.opset_import[0].version == 13 and model.ir_version == 7
    assert {node.op_type for node in model.graph.node} <= {
        *("Sub", "Div", "Gemm", "Relu", "Tanh", "Add", "Mul", "Max", "Min")
    }


def test_no_torch_is_needed(exported):
    code = (
        "import sys, numpy as np; from robot_rl.policies.onnx_policy import OnnxPolicy; "
        "print(OnnxPolicy.load(sys.argv[1]).act(np.zeros(3)).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, exported], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2,) False"
