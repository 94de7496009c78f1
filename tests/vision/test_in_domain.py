"""The in-domain model: its loss by hand, a tiny training, and damaged files."""

import json
import math
import shutil
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task
from robot_rl.vision.encoder import load_small
from robot_rl.vision.in_domain import InDomainConfig, key, multi_positive_loss, train_in_domain

pytestmark = pytest.mark.skipif(find_spec("open_clip") is None, reason="open_clip is not installed")
TASK = load_task("drawer_open")
TINY = InDomainConfig(frames=8, steps=2, batch_size=4, width=8, embed_dim=16, texts=6)


def test_the_loss_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    # Rows: -log(3/4) and -log(1/2); columns, from (3, 1) and (1, 1), the same: their mean, twice.
    loss = multi_positive_loss(logits, torch.eye(2))
    assert float(loss) == pytest.approx(2 * 0.5 * (math.log(4 / 3) + math.log(2)), abs=1e-6)


def test_several_truths_share_the_weight():
    logits = torch.tensor([[math.log(2.0), math.log(1.0), math.log(1.0)]])
    truth = torch.tensor([[1.0, 1.0, 0.0]])
    # Row: the mean of -log(1/2) and -log(1/4); columns of one picture are certain, so they add nothing.
    expected = 0.5 * (math.log(2) + math.log(4))
    assert float(multi_positive_loss(logits, truth)) == pytest.approx(expected, abs=1e-6)


def test_rows_and_columns_without_truth_are_left_out():
    logits = torch.tensor([[math.log(3.0), 0.0], [5.0, -2.0]])
    truth = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    # Row 0 alone: -log(3/4); column 0 alone: -log(3 / (3 + e^5)).
    expected = math.log(4 / 3) + math.log((3 + math.exp(5)) / 3)
    assert float(multi_positive_loss(logits, truth)) == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (8, 64, 64, 3), np.uint8)
    heard = []
    levels = rng.integers(0, 5, (8, 2))
    train_in_domain(TASK, images, levels, folder, TINY, lambda n, note: heard.append(note))
    assert len(heard) == 2 and heard[0].startswith("loss ")
    return folder, images


def test_a_saved_model_gives_the_same_vectors(trained, tmp_path):
    folder, images = trained
    encoder, again = load_small(folder), load_small(shutil.copytree(folder, tmp_path / "copy"))
    vectors = encoder.images(images)
    assert vectors.shape == (8, 16) and vectors.dtype == np.float32 and encoder.size == 64
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, again.images(images))
    np.testing.assert_array_equal(encoder.texts(["a drawer"]), again.texts(["a drawer"]))
    assert encoder.identity == again.identity and encoder.identity["model"] == "in-domain drawer_open"
    assert encoder.images(images[:0]).shape == (0, 16)
    train_in_domain(TASK, images, np.random.default_rng(1).integers(0, 5, (8, 2)), tmp_path / "b", TINY)
    assert load_small(tmp_path / "b").identity["weights"] != encoder.identity["weights"]


def test_the_key_names_all_that_decides_a_model():
    other = TASK.model_copy(update={"camera": TASK.camera.model_copy(update={"azimuth": 10.0})})
    keys = {key(TASK, TINY), key(TASK, InDomainConfig()), key(other, TINY)}
    assert len(keys) == 3
    assert key(TASK.model_copy(update={"goal": "something else"}), TINY) in keys


def damage_text(folder, change):
    path = folder / "encoder.json"
    path.write_text(change(path.read_text()))


def with_text(old, new):
    return lambda folder: damage_text(folder, lambda text: text.replace(old, new))


def without(field):
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != field})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "encoder.json").unlink(), "encoder.json: not an encoder of robot-rl"),
        (lambda f: damage_text(f, lambda text: text[:40]), "encoder.json: not an encoder of robot-rl"),
        (lambda f: damage_text(f, lambda text: "[1, 2]"), "encoder.json: not an encoder of robot-rl"),
        (lambda f: damage_text(f, without("format_version")), "encoder.json: not an encoder of robot-rl"),
        (lambda f: damage_text(f, without("architecture")), "encoder.json: lacks the field 'architecture'"),
        (with_text('version": 1', 'version": 9'), "format_version is 9"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"x" * 99), "weights.safetensors: damaged"),
        (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors: damaged"),
        (with_text('"width": 8', '"width": 16'), "of another model"),
    ],
)
def test_damaged_files(trained, tmp_path, damage, told):
    folder = shutil.copytree(trained[0], tmp_path / "copy")
    damage(folder)
    with pytest.raises(BadInput, match=told):
        load_small(folder)
