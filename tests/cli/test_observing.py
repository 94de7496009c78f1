"""`robot-rl train --observe`: from a dataset to a policy that sees, in simulation, and what is refused."""

import json

import numpy as np
import pytest

pytest.importorskip("metaworld")
pytest.importorskip("onnxruntime")
from robot_rl.cli.main import main
from robot_rl.cli.observing import chosen, look
from robot_rl.data.picture_file import picture_array
from robot_rl.data.replay import transitions_from_dataset
from robot_rl.data.store import Dataset
from robot_rl.policies.checkpoint import load_spec
from robot_rl.policies.image_policy import load_policy
from robot_rl.vision.sizes import fit_size
from tests.conftest import write_tiny

FEW = ("--steps", "6", "--hidden", "8", "8", "--batch-size", "8")
HAND = ("hand_x", "hand_y", "hand_z", "gripper_opening")


def test_a_policy_that_sees_runs_in_simulation(collected, tiny_judge, tmp_path, capsys):
    out = tmp_path / "run"
    args = ["train", str(collected), "--out", str(out), "--holdout", "0.25", *FEW]
    assert main([*args, "--observe", "image.side", *HAND]) == 0
    spec = load_spec(out)
    assert spec.state_names == HAND and spec.observation_keys == ("state", "image.side")
    (image,) = spec.images
    assert (image.camera, image.height, image.size, image.features) == ("side", 64, 64, 16)
    assert "principal components of places of feature maps" in image.encoder and not image.learned
    assert "action error on 1 episodes kept aside" in capsys.readouterr().out
    dataset = Dataset.open(collected)
    state, picture = dataset.column("observation.state")[7, :4], dataset.frames("side", [7])[0]
    sight = look(dataset, ["image.side", *HAND], "in-domain", 45)
    seen = sight.observed.frames[7]
    np.testing.assert_array_equal(seen[:4], state)
    policy = load_policy(out)
    action = policy.act({"state": state, "image.side": picture})
    np.testing.assert_allclose(action, policy._head.act_on(seen), atol=1e-4)
    transitions = transitions_from_dataset(dataset, "next.reward", sight.observed)
    assert len(transitions) == 60 and transitions.observations.shape == (60, 20)
    np.testing.assert_array_equal(transitions.next_observations[3], sight.observed.frames[4])
    final = dataset.final_pictures("side")[0]
    after = policy._eyes[0][1].run(None, {"pictures": final[None]})[0][0]
    np.testing.assert_allclose(transitions.next_observations[14, 4:], after, atol=1e-4)
    assert main(["evaluate", str(out), "--episodes", "1", "--workers", "1"]) == 0
    assert json.loads((out / "evaluation.json").read_text())["episodes"] in ([True], [False])
    assert main(["finetune", str(out), "--steps", "5"]) == 2
    assert "only one that sees all" in " ".join(capsys.readouterr().err.split())


def test_a_network_that_learns_to_see(collected, tmp_path):
    out = tmp_path / "run"
    args = ["train", str(collected), "--out", str(out), "--observe", "image.side", *HAND, *FEW]
    assert main([*args, "--encoder", "cnn"]) == 0
    spec = load_spec(out)
    assert spec.images[0].learned and spec.images[0].features == 50
    state, picture = np.zeros(4), np.zeros((64, 64, 3), np.uint8)
    assert load_policy(out).act({"state": state, "image.side": picture}).shape == (4,)


def test_pictures_belong_to_their_steps(tmp_path):
    dataset = write_tiny(tmp_path / "tiny")
    sight = look(dataset, ["joint_0", "image.front"], "cnn")
    transitions = transitions_from_dataset(dataset, None, sight.observed)
    pictures = sight.pictures(dataset, transitions)
    assert pictures.array.shape == (48 + 4, 32, 32, 3)
    assert pictures.following[:11].tolist() == list(range(1, 12)) and pictures.following[11] == 48
    assert pictures.following[[23, 35, 47]].tolist() == [49, 50, 51]
    np.testing.assert_array_equal(pictures.array[pictures.now[5]], dataset.frames("front", [5])[0])
    np.testing.assert_array_equal(pictures.array[51], dataset.final_pictures("front")[3])
    small = picture_array(dataset, "front", 16, fit_size)
    assert small.shape == (52, 16, 16, 3)


def test_parts_of_the_state_alone(tmp_path):
    dataset = write_tiny(tmp_path / "tiny")
    assert chosen(dataset, []) == (dataset.info.state_names, ())
    assert chosen(dataset, ["joint_3", "image.front", "joint_1"]) == (("joint_1", "joint_3"), ("front",))
    out = tmp_path / "run"
    assert main(["train", str(dataset.root), "--out", str(out), "--observe", "joint_3", "joint_1", *FEW]) == 0
    policy = load_policy(out)
    assert policy.spec.state_names == ("joint_1", "joint_3") and policy.act(np.zeros(2)).shape == (4,)


def test_mistakes_are_one_line(tmp_path, capsys):
    dataset = write_tiny(tmp_path / "tiny")
    run = ["train", str(dataset.root), "--out", str(tmp_path / "run"), *FEW]
    for more, told in (
        (("--observe", "image.fron"), "--observe: .* has no 'image.fron'. Did you mean 'image.front'?"),
        (("--observe", "joint_9"), "has no 'joint_9'."),
        (("--observe", "image.front"), "in-domain belongs to a task card, not to ''"),
        (("--observe", "image.front", "--encoder", "resnet"), "--encoder: no encoder 'resnet'."),
        (("--observe", "image.front", "--encoder", "cnn", "--algo", "bc"), "the encoder cnn learns with iql"),
        (
            ("--observe", "image.front", "--encoder", "cnn", "--algo", "d3rlpy:cql"),
            "learns from states alone",
        ),
    ):
        assert main([*run, *more]) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert told.removeprefix("--observe: .* ") in error, error
