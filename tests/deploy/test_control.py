"""The control step, and the swap of its weights: from the run's own folder, verified, or not at all."""

import json
import shutil

import numpy as np
import pytest

from robot_rl.deploy.control import ControlStep, load_policy, load_swap, version_of
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import SPEC, WEIGHTS, load_checkpoint, save_checkpoint
from robot_rl.policies.onnx_policy import ONNX, OnnxPolicy
from robot_rl.policies.policy import MlpPolicy
from tests.deploy.contracts import position_contract
from tests.deploy.test_interface import FITS
from tests.policies.helpers import make_spec

CONTRACT = position_contract()


def checkpoint(folder, gain=1.0, **change):
    """A policy that wishes tanh(gain * x)."""
    spec = make_spec(**FITS | {"hidden": []} | change)
    shapes = spec.weight_shapes()
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    weights["layer0.weight"] += gain
    return save_checkpoint(folder, weights, spec)


def exported(folder):
    from robot_rl.policies.onnx_export import export_onnx

    export_onnx(folder)
    return folder


@pytest.fixture
def run(tmp_path):
    return checkpoint(tmp_path / "run")


def wished(step, x):
    step.state.heard({"x": x})
    return step(0.0, 0.0)


def test_a_step_names_the_wished_action(run):
    step = ControlStep(CONTRACT, load_policy(run), version_of(run))
    with pytest.raises(BadInput, match="not heard yet: x"):
        step(0.0, 0.0)
    assert wished(step, 0.5) == {"a": pytest.approx(np.tanh(0.5), abs=1e-6)}


def test_a_policy_that_does_not_fit_is_refused_before_anything_moves(tmp_path):
    policy = load_policy(checkpoint(tmp_path / "run", robot="other"))
    with pytest.raises(BadInput, match="does not fit robot 'axis': robot is 'other'"):
        ControlStep(CONTRACT, policy)


def test_new_weights_take_over_between_two_steps(run):
    step = ControlStep(CONTRACT, load_policy(run), version_of(run))
    policy, version = load_swap(run, checkpoint(run / "step_2", gain=-1.0))
    assert version == version_of(run / "step_2") != step.version
    step.check(policy, version)
    assert wished(step, 0.5) == {"a": pytest.approx(np.tanh(0.5), abs=1e-6)}  # not yet
    step.swap(policy, version)
    assert wished(step, 0.5) == {"a": pytest.approx(-np.tanh(0.5), abs=1e-6)} and step.version == version


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"robot": "other"}, "robot is 'other'"),
        ({"fps": 50.0}, "fps is 50 Hz"),
        ({"state_names": ["y"]}, "no source gives the state part 'y'"),
        ({"action_low": [3.0], "action_high": [4.0]}, "outside the contract's"),
        (
            {
                "state_names": ["x", "last"],
                "state_units": ["rad", ""],
                "state_mean": [0, 0],
                "state_std": [1, 1],
            },
            "state_names differ from those of the running policy",
        ),
    ],
)
def test_weights_that_do_not_fit_leave_the_old_policy_running(run, change, told):
    contract = position_contract(previous_action={"last": "a"})
    step = ControlStep(contract, load_policy(run), "old")
    with pytest.raises(BadInput, match=told):
        step.check(*load_swap(run, checkpoint(run / "next", **change)))
    assert wished(step, 0.5) == {"a": pytest.approx(np.tanh(0.5), abs=1e-6)} and step.version == "old"


class Mad(MlpPolicy):
    """Wishes no number."""

    def act(self, observation):
        return np.array([np.nan], np.float32)


def test_a_policy_that_wishes_no_number_is_not_swapped_in(run):
    step = ControlStep(CONTRACT, load_policy(run), "old")
    with pytest.raises(BadInput, match=r"new: at state_mean it wishes \[nan\]"):
        step.check(Mad(*load_checkpoint(run)), "new")
    assert step.version == "old" and np.isfinite(wished(step, 0.5)["a"])


def refused(run, folder, told, runtime="auto"):
    with pytest.raises(BadInput, match=told) as caught:
        load_swap(run, folder, runtime)
    assert "\n" not in str(caught.value)


def test_weights_from_elsewhere_are_refused(run, tmp_path):
    stranger = checkpoint(tmp_path / "run-2")
    refused(run, stranger, "new weights must lie inside the run's folder")
    refused(run, run / ".." / "run-2", "new weights must lie inside the run's folder")
    refused(run, tmp_path, "new weights must lie inside the run's folder")


@pytest.mark.parametrize("linked", ["folder", SPEC, WEIGHTS, ONNX])
def test_links_do_not_lead_out_of_the_run(run, tmp_path, linked):
    stranger = exported(checkpoint(tmp_path / "stranger"))
    inside = run / "next"
    if linked == "folder":
        inside.symlink_to(stranger)
    else:
        shutil.copytree(stranger, inside)
        (inside / linked).unlink()
        (inside / linked).symlink_to(stranger / linked)
    refused(run, inside, "new weights must lie inside the run's folder")


def test_links_within_the_run_are_followed(run):
    checkpoint(run / "step_2", gain=-1.0)
    (run / "latest").symlink_to("step_2")
    assert load_swap(run, run / "latest")[1] == version_of(run / "step_2")


@pytest.mark.parametrize("folder", ["\0", "x" * 5000])
def test_paths_that_are_none(run, folder):
    refused(run, run / folder, "x")


def test_links_in_a_circle(run):
    (run / "loop").symlink_to("loop")
    refused(run, run / "loop", "loop")


def test_damaged_weights_are_refused(run):
    folder = checkpoint(run / "next")
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    refused(run, folder, "weights_hash is not that of weights.safetensors")


def test_weights_that_cannot_be_verified_are_refused(run):
    folder = checkpoint(run / "next")
    told = json.loads((folder / SPEC).read_text())
    (folder / SPEC).write_text(json.dumps(told | {"weights_hash": ""}))
    refused(run, folder, "weights_hash is empty")


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_a_checkpoint_that_lacks_a_file_is_refused(run, name):
    folder = checkpoint(run / "next")
    (folder / name).unlink()
    refused(run, folder, f"{name} cannot be read")


def test_weights_that_change_while_they_are_read_are_refused(run, monkeypatch):
    folder = checkpoint(run / "next")
    versions = iter(["before", "after"])
    monkeypatch.setattr("robot_rl.deploy.control.version_of", lambda _: next(versions))
    refused(run, folder, "was written to while it was read")


def test_an_exported_graph_is_run_and_must_act_as_the_weights_do(run):
    folder = exported(checkpoint(run / "next", gain=-1.0))
    policy, _ = load_swap(run, folder)
    assert isinstance(policy, OnnxPolicy) and policy.act(np.float32([0.5])) == pytest.approx(
        -np.tanh(0.5), abs=1e-5
    )
    assert isinstance(load_swap(run, folder, "numpy")[0], MlpPolicy)
    import onnx

    graph = onnx.load(folder / ONNX)
    for tensor in graph.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).copy()
        if array.ndim == 2:
            array[...] += 0.5
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(graph, folder / ONNX)
    refused(run, folder, "policy.onnx: its actions differ from those of weights.safetensors")
    assert isinstance(load_swap(run, folder, "numpy")[0], MlpPolicy)


def test_the_runtime_is_chosen_by_name(run):
    with pytest.raises(BadInput, match="runtime: must be auto, onnx or numpy, not 'torch'"):
        load_policy(run, "torch")
    with pytest.raises(BadInput, match="policy.onnx cannot be read"):
        load_policy(run, "onnx")


def test_no_version_without_a_run(tmp_path):
    with pytest.raises(BadInput, match="policy.json cannot be read .*; give a run's folder"):
        version_of(tmp_path)
